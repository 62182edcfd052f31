import { ManualClock, silentLog } from "@sluice/runtime";
import { expect, test } from "vitest";
import { CopyRoom } from "./copy-room.ts";

const world = () => {
  const stream = { bytes: 200, limitBytes: 1_200 as number | null, isAway: false };
  const size = async (): Promise<{ messages: number; bytes: number; limitBytes: number | null }> => {
    if (stream.isAway) throw new Error("away");
    return Promise.resolve({ messages: 1, bytes: stream.bytes, limitBytes: stream.limitBytes });
  };
  const [copy, changes, link] = [{ isStored: false }, { besideBytes: 0 }, { isClosed: false }];
  const clock = new ManualClock();
  const room = new CopyRoom({ stream: { size }, copy, changes, lanes: 2, maxBatchBytes: 50, clock, log: silentLog() });
  const findsWithin = async (ms: number, signal = new AbortController().signal): Promise<boolean> => {
    let isFound = false;
    void room.find(() => link.isClosed, signal).then(() => (isFound = true));
    await clock.advance(ms);
    return isFound;
  };
  return { stream, copy, changes, link, clock, room, findsWithin };
};

// Mutations seen to fail it: copy-room.ts, `isScarce` false; the share all that is free; open messages not counted; the stream's bytes compared with the share.
test("changes wait when they have taken half of what was free beside the copy, and go on when that is stored or there is more room", async () => {
  const { stream, copy, changes, room, findsWithin } = world();
  expect(room.isScarce).toBe(false);
  await room.look();
  changes.besideBytes = 400;
  // What the copy takes itself.
  stream.bytes = 1_000;
  await room.look();
  expect([room.isScarce, await findsWithin(0)]).toEqual([false, true]);
  changes.besideBytes = 401;
  expect([room.isScarce, await findsWithin(10_000)]).toEqual([true, false]);
  // What a bus says that is away is nothing new.
  stream.isAway = true;
  await room.look();
  expect(room.isScarce).toBe(true);
  stream.isAway = false;
  stream.limitBytes = 2_000;
  await room.look();
  expect(await findsWithin(1_000)).toBe(true);
  changes.besideBytes = 5_000;
  expect(await findsWithin(10_000)).toBe(false);
  copy.isStored = true;
  expect([room.isScarce, await findsWithin(1_000)]).toEqual([false, true]);
});

// Mutation seen to fail it: copy-room.ts, `#isCrowded` false: the copies of other shards have no room.
test("what is left of a stream that is nearly full is for copies", async () => {
  const { stream, room } = world();
  await room.look();
  stream.bytes = 1_080;
  await room.look();
  expect(room.isScarce).toBe(false);
  stream.bytes = 1_081;
  await room.look();
  expect(room.isScarce).toBe(true);
});

// Mutations seen to fail it: copy-room.ts, `find` without its look at the link, and at the signal.
test("a stream without a limit has room, and whose link broke, or who ends, waits no longer", async () => {
  const { stream, changes, link, room, findsWithin, clock } = world();
  changes.besideBytes = 2 ** 40;
  stream.limitBytes = null;
  await room.look();
  expect(await findsWithin(0)).toBe(true);
  stream.limitBytes = 2_000;
  await room.look();
  expect(await findsWithin(0, AbortSignal.abort())).toBe(true);
  expect(await findsWithin(1_000)).toBe(false);
  link.isClosed = true;
  expect(await findsWithin(1_000)).toBe(true);
  await clock.advance(1_000);
  expect(clock.sleeping).toBe(0);
});
