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
