import { ExpiryError, RdbError, RespError } from "@sluice/redis";
import { Retryable } from "@sluice/runtime";
import { expect, test } from "vitest";
import type { RdbTransfer } from "./rdb-transfer.ts";
import { streamFault } from "./stream-fault.ts";

const gone = new Retryable("SRC-001", "source s0", "the link broke");
const copyThat = (isAwaited: boolean) => ({ transfer: { isAwaited } as RdbTransfer });

// Mutations: stream-fault.ts, any of its cases taken out: what another link would have brought whole halts the shard, or is not told by its name.
test.each([
  ["an RDB that can't be read", new RdbError("unknown type", 9), copyThat(false), "SRC-004"],
  ["a stream that is no RESP", new RespError(9, "x", "*"), null, "SRC-005"],
  ["a command whose expiry can't be read", new ExpiryError("no number"), null, "SRC-005"],
  ["a link that ends before the copy", gone, copyThat(true), "SRC-020"],
])("%s is a fault of the source that another link may mend", (_, cause, copy, code) => {
  const fault = streamFault("s0", cause, copy);
  expect(fault).toBeInstanceOf(Retryable);
  expect(fault).toMatchObject({ code, endpoint: "source s0", cause });
});

test("other failures are what they are", () => {
  const other = new Error("other");
  expect(streamFault("s0", gone, copyThat(false))).toBe(gone);
  expect(streamFault("s0", gone, null)).toBe(gone);
  expect(streamFault("s0", other, copyThat(true))).toBe(other);
});
