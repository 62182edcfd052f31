import { ManualClock, silentLog } from "@sluice/runtime";
import type { LaneRecord, ShardRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { StreamTrimmer } from "./stream-trimmer.ts";

// Mutation: stream-trimmer.ts, `keep` without effect.
test("another time to keep what is applied counts from the moment it is given", async () => {
  const clock = new ManualClock();
  const trimmed: number[] = [];
  const stream = {
    tail: async () => Promise.resolve({ sequence: 1_000, payload: Buffer.alloc(0) }),
    trim: async (_: string, below: number) => Promise.resolve(trimmed.push(below)),
  };
  const trimmer = new StreamTrimmer("p", stream as never, 86_400_000, clock, silentLog());
  let second = 0;
  const trimFor = async (seconds: number): Promise<void> => {
    for (const until = second + seconds; second < until; second++) {
      const record = { epoch: 1, copy: 1, phase: "live", offset: second, sequence: second } as LaneRecord;
      const shard = { epoch: 1, copy: 1 } as ShardRecord;
      await trimmer.trim([{ shardId: "s0", lane: 0, shard, groups: new Map([["main", record]]) }]);
      await clock.advance(1_000);
    }
  };
  await trimFor(200);
  trimmer.keep(86_400_000);
  await trimFor(10);
  expect(trimmed).toEqual([]);
  trimmer.keep(5_000);
  await trimFor(70);
  expect(trimmed.length).toBeGreaterThan(0);
  expect(trimmed[0]).toBeGreaterThan(200);
});

// Mutations: stream-trimmer.ts, `#leave` of the last copy alone; with the last message of every copy kept; of copy 1 removed.
test("of a lane that is gone no copy stays, but for the last message of the one that epochs begin with", async () => {
  const trimmed: [string, number][] = [];
  const stream = {
    tail: async () => Promise.resolve({ sequence: 9, payload: Buffer.alloc(0) }),
    trim: async (subject: string, below: number) => Promise.resolve(trimmed.push([subject, below])),
  };
  const trimmer = new StreamTrimmer("p", stream as never, 0, new ManualClock(), silentLog());
  const gone = [{ shardId: "s1", lane: 3, copies: [1, 2, 5] }];
  await trimmer.trim([], gone);
  await trimmer.trim([], gone);
  expect(trimmed).toEqual([
    ["sluice.p.live.s1.3", 9],
    ["sluice.p.snap.1.s1.3", 9],
    ["sluice.p.snap.2.s1.3", 10],
    ["sluice.p.snap.5.s1.3", 10],
  ]);
});
