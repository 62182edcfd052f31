import { MEMBER_BEAT_MS, MEMBER_TIME_MS } from "@sluice/bus";
import { beforeEach, describe, expect, test } from "vitest";
import { RollCall, SETTLE_MS } from "./roll-call.ts";

describe("RollCall", () => {
  let nowMs = 0;
  let revision = 0;
  let call: RollCall;
  const beat = (instance: string): void => call.beat("writer", instance, ++revision);
  /** Lets time pass in which the named instances beat. */
  const pass = (ms: number, ...instances: string[]): void => {
    for (let passed = 0; passed < ms; passed += MEMBER_BEAT_MS) {
      nowMs += Math.min(MEMBER_BEAT_MS, ms - passed);
      for (const instance of instances) beat(instance);
    }
  };

  beforeEach(() => {
    nowMs = 5_000;
    revision = 0;
    call = new RollCall({ monotonicMs: () => nowMs });
  });

  test("a record that does not grow is no sign of life", () => {
    beat("old");
    beat("alive");
    expect(call.isSettled).toBe(false);
    pass(SETTLE_MS, "alive");
    call.beat("writer", "old", 1);
    expect(call.isSettled).toBe(true);
    expect(call.live("writer")).toEqual(["alive"]);
    expect(call.live("ingest")).toEqual([]);
  });

  test("an owner that was never heard is awaited until the time of a member has passed", () => {
    beat("alive");
    pass(MEMBER_TIME_MS - 1, "alive");
    expect(call.awaited("writer", ["old", "alive"])).toEqual(new Set(["old"]));
    pass(1, "alive");
    expect(call.awaited("writer", ["old", "alive"])).toEqual(new Set());
  });

  // Mutation: roll-call.ts, `#beganAtMs` from the constructor on.
  test("it begins with the first record: leftovers that a busy bus delivers late prove nothing, and nobody is dead for it", () => {
    nowMs += 2 * MEMBER_TIME_MS;
    expect(call.isSettled).toBe(false);
    expect(call.awaited("writer", ["old", "alive"])).toEqual(new Set(["old", "alive"]));
    beat("old");
    beat("alive");
    expect(call.isSettled).toBe(false);
    pass(SETTLE_MS, "alive");
    expect([call.isSettled, call.live("writer")]).toEqual([true, ["alive"]]);
    expect(call.awaited("writer", ["old", "alive"])).toEqual(new Set(["old"]));
  });

  test("one that comes later is live at once", () => {
    beat("alive");
    pass(SETTLE_MS + 1, "alive");
    beat("new");
    expect(call.live("writer")).toEqual(["alive", "new"]);
  });

  test("one that falls silent is dead after the time of a member, one that says goodbye at once", () => {
    pass(SETTLE_MS, "a", "b", "c");
    call.gone("writer", "b");
    expect(call.live("writer")).toEqual(["a", "c"]);
    expect(call.awaited("writer", ["b"])).toEqual(new Set());
    pass(MEMBER_TIME_MS, "c");
    expect(call.live("writer")).toEqual(["a", "c"]);
    pass(1, "c");
    expect(call.live("writer")).toEqual(["c"]);
    expect(call.silentMs("writer", "a")).toBe(MEMBER_TIME_MS + 1);
    expect(call.silentMs("writer", "b")).toBeNull();
  });

  test("when nobody is heard it is the bus that is silent: all are awaited anew once one is heard", () => {
    pass(10_000, "a", "b");
    nowMs += 60_000;
    expect(call.isSettled).toBe(false);
    beat("a");
    expect(call.isSettled).toBe(false);
    expect(call.awaited("writer", ["a", "b"])).toEqual(new Set(["b"]));
    pass(MEMBER_TIME_MS - 1, "a");
    expect(call.live("writer")).toEqual(["a"]);
    expect(call.awaited("writer", ["a", "b"])).toEqual(new Set(["b"]));
    pass(1, "a");
    expect(call.awaited("writer", ["a", "b"])).toEqual(new Set());
  });
});
