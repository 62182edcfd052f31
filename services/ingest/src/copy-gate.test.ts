import { ManualClock } from "@sluice/runtime";
import type { RetryRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { CopyGate } from "./copy-gate.ts";

const MIDNIGHT_MS = Date.UTC(2026, 0, 5);
const HOUR_MS = 3_600_000;
const startWindow = { fromMinute: 60, toMinute: 300, zone: "UTC" };
const signal = new AbortController().signal;

test("what the source no longer holds is copied anew, unless the operator wants to decide", () => {
  const clock = new ManualClock();
  expect(() => new CopyGate({ onBacklogLost: "resync" }, clock).checkLost("s0", "gone")).not.toThrow();
  expect(() => new CopyGate({ onBacklogLost: "halt" }, clock).checkLost("s0", "the backlog holds 5 to 9")).toThrow(
    expect.objectContaining({ code: "SRC-016", message: "shard s0 can't be continued: the backlog holds 5 to 9" }) as Error,
  );
});

test("a pipeline of changes alone is never copied, whatever it says of a lost backlog", () => {
  for (const onBacklogLost of ["resync", "halt"] as const) {
    const gate = new CopyGate({ mode: "changes", onBacklogLost }, new ManualClock());
    expect(gate.isCopyless).toBe(true);
    expect(() => gate.checkLost("s0", "gone")).toThrow(expect.objectContaining({ code: "SRC-019" }) as Error);
  }
  expect(new CopyGate({ mode: "full", onBacklogLost: "resync" }, new ManualClock()).isCopyless).toBe(false);
});

test("a copy waits for its window, says so once, and that nothing is wrong", async () => {
  const clock = new ManualClock(MIDNIGHT_MS - HOUR_MS);
  const gate = new CopyGate({ onBacklogLost: "resync", startWindow }, clock);
  const told: RetryRecord[] = [];
  let isOpen = false;
  const waiting = gate.inWindow("s0", signal, (retry) => told.push(retry)).then(() => (isOpen = true));
  await clock.advance(2 * HOUR_MS - 1_000);
  expect([isOpen, gate.isInWindow]).toEqual([false, false]);
  expect(told).toEqual([
    {
      endpoint: "source s0",
      since: MIDNIGHT_MS - HOUR_MS,
      reason: "a full copy may start only at 01:00-05:00 UTC",
      isTurn: true,
    },
  ]);
  await clock.advance(61_000);
  await waiting;
  expect([isOpen, gate.isInWindow]).toEqual([true, true]);
  await gate.inWindow("s0", signal, (retry) => told.push(retry));
  await new CopyGate({ onBacklogLost: "resync" }, clock).inWindow("s0", signal, (retry) => told.push(retry));
  expect(told).toHaveLength(1);
});

test("one that is asked to stop meanwhile waits no more", async () => {
  const stopping = new AbortController();
  const gate = new CopyGate({ onBacklogLost: "resync", startWindow }, new ManualClock(MIDNIGHT_MS));
  const waiting = gate.inWindow("s0", stopping.signal, () => undefined);
  stopping.abort();
  await expect(waiting).resolves.toBeUndefined();
});
