import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { ManualClock } from "./manual-clock.ts";

test("sleepers wake in order, each at its own time", async () => {
  const clock = new ManualClock(1000);
  const seen: [string, number, number][] = [];
  const note = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    seen.push([name, clock.monotonicMs(), clock.nowMs()]);
    if (name === "a") await note("after a", 5);
  };
  const all = Promise.all([note("c", 30), note("a", 10), note("b", 20)]);
  await clock.advance(29);
  expect(seen).toEqual([
    ["a", 10, 1010],
    ["after a", 15, 1015],
    ["b", 20, 1020],
  ]);
  expect(clock.sleeping).toBe(1);
  await clock.advance(1);
  await all;
  expect(seen.at(-1)).toEqual(["c", 30, 1030]);
  expect(clock.sleeping).toBe(0);
});

test.each([
  ["manual", new ManualClock()],
  ["system", systemClock],
])("an aborted sleep of the %s clock ends at once and does not reject", async (_name, clock) => {
  const stopping = new AbortController();
  const sleep = clock.sleep(3_600_000, stopping.signal);
  stopping.abort();
  await expect(sleep).resolves.toBeUndefined();
  await expect(clock.sleep(3_600_000, stopping.signal)).resolves.toBeUndefined();
});
