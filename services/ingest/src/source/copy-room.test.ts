import { ManualClock, silentLog } from "@sluice/runtime";
import { expect, test } from "vitest";
import { CopyRoom } from "./copy-room.ts";

const world = () => {
  const stream = { bytes: 0, limitBytes: 1_000 as number | null, isAway: false };
  const size = async (): Promise<{ messages: number; bytes: number; limitBytes: number | null }> => {
    if (stream.isAway) throw new Error("away");
    return Promise.resolve({ messages: 1, bytes: stream.bytes, limitBytes: stream.limitBytes });
  };
  const copy = { isStored: false };
  const clock = new ManualClock();
  const room = new CopyRoom(copy, { size }, clock, silentLog());
  const findsWithin = async (ms: number, signal = new AbortController().signal): Promise<boolean> => {
    let isFound = false;
    void room.find(signal).then(() => (isFound = true));
    await clock.advance(ms);
    return isFound;
  };
  return { stream, copy, clock, room, findsWithin };
};

// Mutations seen to fail it: copy-room.ts, `isScarce` false; `bytes > limitBytes`.
test("changes wait while the stream is more than half full beside a copy, and go on when there is room or the copy is stored", async () => {
  const { stream, copy, room, findsWithin } = world();
  stream.bytes = 500;
  await room.look();
  expect([room.isScarce, await findsWithin(0)]).toEqual([false, true]);
  stream.bytes = 501;
  await room.look();
  expect([room.isScarce, await findsWithin(10_000)]).toEqual([true, false]);
  // What a bus says that is away is nothing new.
  stream.isAway = true;
  await room.look();
  expect(room.isScarce).toBe(true);
  stream.isAway = false;
  stream.bytes = 400;
  await room.look();
  expect(await findsWithin(1_000)).toBe(true);
  stream.bytes = 900;
  await room.look();
  expect(await findsWithin(10_000)).toBe(false);
  copy.isStored = true;
  expect([room.isScarce, await findsWithin(1_000)]).toEqual([false, true]);
});

test("a stream without a limit has room, and whoever ends waits no longer", async () => {
  const { stream, room, findsWithin, clock } = world();
  stream.bytes = 2 ** 40;
  stream.limitBytes = null;
  await room.look();
  expect(await findsWithin(0)).toBe(true);
  stream.limitBytes = 2 ** 40;
  await room.look();
  expect(await findsWithin(0, AbortSignal.abort())).toBe(true);
  expect(clock.sleeping).toBe(0);
});
