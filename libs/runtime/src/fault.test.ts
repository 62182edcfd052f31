import { describe, expect, test } from "vitest";
import { codes } from "./codes.ts";
import { describeFault, Halt, printable, reasonOf, Retryable, Stopped } from "./fault.ts";

/** As Node makes them for a connection that several addresses refused. */
function silent<E extends Error>(error: E): E {
  return Object.assign(error, { message: "" });
}

// Mutation: fault.ts, `reasonOf` as `describeFault`.
test.each([
  ["source s0", "source s0: the link broke", new Error("source s0: ECONNREFUSED"), "the link broke: ECONNREFUSED"],
  ["source s0", "source s0 closed the replication link", undefined, "closed the replication link"],
  ["source s0", "its copy was cut: source s01: away", undefined, "its copy was cut: source s01: away"],
  ["destination m 10.0.0.1:1", "destination m 10.0.0.1:1: LOADING", undefined, "LOADING"],
  ["bus", "BUS is away; the bus: no answer", undefined, "BUS is away; the bus: no answer"],
])("a reason to wait for %s does not name it once more: %s", (endpoint, message, cause, reason) => {
  const fault = new Retryable("SRC-001", endpoint, message, cause === undefined ? {} : { cause });
  expect(reasonOf(fault)).toBe(reason);
  expect(reasonOf(new Halt("SRC-004", message))).toBe(message);
});

describe("describeFault", () => {
  const cause = new Error("connect ECONNREFUSED 127.0.0.1:1");
  test.each([
    [
      "a fault with its causes",
      new Retryable("BUS-001", "bus", "NATS is away", { cause: new Error("no answer", { cause }) }),
      `NATS is away: no answer: ${cause.message}`,
    ],
    ["a cause that repeats the message", new Error("a: b", { cause: new Error("b") }), "a: b"],
    [
      "several errors that say nothing together",
      silent(new AggregateError([cause, new Error("two")], "x")),
      `${cause.message}, two`,
    ],
    ["an error without a message", silent(new RangeError("x")), "RangeError"],
    ["a text", "boom", "boom"],
    ["nothing", null, "null"],
    ["an object", { secret: 1 }, "[object Object]"],
    ["an object without a prototype", Object.create(null), "[object Object]"],
    ["control characters", new Error("a\r\nb\u001b[2J\u0000\u009b"), "a\\x0d\\x0ab\\x1b[2J\\x00\\x9b"],
  ])("%s", (_name, fault, text) => {
    expect(describeFault(fault)).toBe(text);
  });

  test("ends, although causes run in a circle", () => {
    const one = new Error("one");
    one.cause = new Error("two", { cause: one });
    expect(describeFault(one)).toBe("one: two");
  });
});

test("printable leaves everything else as it is", () => {
  expect(printable("kéy → 日本 \\x00")).toBe("kéy → 日本 \\x00");
});

describe("codes", () => {
  test.each(Object.entries(codes))("%s says what it means and what to do", (code, { meaning, remedy }) => {
    expect(code).toMatch(/^(SRC|DST|BUS|PIP|API|SLU)-\d{3}$/);
    expect(meaning).toMatch(/^[A-Z`].{15,}\.$/s);
    expect(remedy).toMatch(/^[A-Z`].*\.$/s);
  });

  test("a fault carries the remedy of its code", () => {
    expect(new Halt("SRC-006", "m").remedy).toBe(codes["SRC-006"].remedy);
    expect([
      new Halt("SLU-001", "m").name,
      new Stopped("SLU-003", "m").name,
      new Retryable("BUS-001", "bus", "m").endpoint,
    ]).toEqual(["Halt", "Stopped", "bus"]);
  });
});
