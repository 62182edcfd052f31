import { ManualClock } from "@sluice/runtime";
import { expect, test } from "vitest";
import { CopyPace } from "./copy-pace.ts";

const signal = new AbortController().signal;
const CHUNK_BYTES = 50;

/** Bytes that are read until the clock stands at each of `timesMs`, in chunks, as fast as the pace lets them. */
async function readUntil(pace: CopyPace, clock: ManualClock, timesMs: readonly number[]): Promise<number[]> {
  let read = 0;
  const stopping = new AbortController();
  const reading = (async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      read += CHUNK_BYTES;
      pace.took(CHUNK_BYTES);
      await pace.room(stopping.signal);
    }
  })();
  const found: number[] = [];
  for (const atMs of timesMs) {
    await clock.advance(atMs - clock.monotonicMs());
    found.push(read);
  }
  stopping.abort();
  await reading;
  return found;
}

test("no more is read than the pace, a burst of a quarter second and a chunk; and no less than the pace", async () => {
  const clock = new ManualClock();
  const pace = new CopyPace(clock, 1_000);
  const found = await readUntil(pace, clock, [1, 1_000, 2_000, 10_000, 60_000]);
  const most = [1, 1_000, 2_000, 10_000, 60_000].map((atMs) => 250 + atMs + CHUNK_BYTES);
  for (const [index, read] of found.entries()) {
    expect(read).toBeLessThanOrEqual(most[index] as number);
    expect(read).toBeGreaterThan((most[index] as number) - 2 * CHUNK_BYTES - 1);
  }
});

test("what was not read while the source sent nothing is made up for by no more than a burst", async () => {
  const clock = new ManualClock();
  const pace = new CopyPace(clock, 1_000);
  await clock.advance(3_600_000);
  pace.took(250);
  expect(pace.waitMs).toBe(0);
  pace.took(100);
  expect(pace.waitMs).toBe(100);
});

test("a chunk that is larger than a burst is waited for whole", async () => {
  const clock = new ManualClock();
  const pace = new CopyPace(clock, 1_000);
  pace.took(10_250);
  let isRoom = false;
  const waiting = pace.room(signal).then(() => (isRoom = true));
  await clock.advance(9_999);
  expect(isRoom).toBe(false);
  await clock.advance(2);
  expect(isRoom).toBe(true);
  await waiting;
});

test("another pace holds for whoever waits already, and no pace at all for nobody", async () => {
  const clock = new ManualClock();
  const pace = new CopyPace(clock, 1_000);
  pace.took(100_250);
  let isRoom = false;
  const waiting = pace.room(signal).then(() => (isRoom = true));
  await clock.advance(1_000);
  pace.change(99_000);
  await clock.advance(999);
  expect(isRoom).toBe(false);
  await clock.advance(2);
  await waiting;
  pace.change(Infinity);
  pace.took(1e12);
  expect(pace.waitMs).toBe(0);
  pace.change(1_000);
  expect(pace.waitMs).toBe(0);
  pace.took(10);
  expect(pace.waitMs).toBe(10);
});

test("one that is asked to stop waits no more", async () => {
  const stopping = new AbortController();
  const pace = new CopyPace(new ManualClock(), 1_000);
  pace.took(100_000);
  const waiting = pace.room(stopping.signal);
  stopping.abort();
  await waiting;
  expect(pace.waitMs).toBeGreaterThan(0);
});
