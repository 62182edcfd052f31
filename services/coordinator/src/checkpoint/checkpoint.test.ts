import type { LaneRecord, ShardRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { checkpointOf, isSameCheckpoint } from "./checkpoint.ts";

test("checkpoints are the same when they resume at the same place, whenever and in whatever order they were written", () => {
  const shards = { s0: { replid: "r", offset: 1, db: 0, epoch: 1 } };
  const a = { sequence: 1, offset: 2, epoch: 1 };
  const b = { sequence: 9, offset: 9, epoch: 1 };
  expect(
    isSameCheckpoint(
      { shards, lanes: { a, b }, at: 1 },
      { shards, lanes: { b, a: { epoch: 1, offset: 2, sequence: 1 } }, at: 2 },
    ),
  ).toBe(true);
  expect(isSameCheckpoint({ shards, lanes: { a }, at: 1 }, { shards, lanes: { a: b }, at: 1 })).toBe(false);
  expect(isSameCheckpoint({ shards, lanes: { a }, at: 1 }, { shards, lanes: {}, at: 1 })).toBe(false);
});

test("a lane that does not know yet where it stands keeps its place", () => {
  const lane = { sequence: 7, offset: 70, epoch: 1 };
  const shard = { replid: "r", storedOffset: 80, db: 2, epoch: 1 };
  const maps = (of: typeof lane) =>
    [new Map([["s0", shard as ShardRecord]]), new Map([["main.s0.0", of as LaneRecord]])] as const;
  const first = checkpointOf(null, ...maps(lane), 1);
  expect(first).toEqual({ shards: { s0: { replid: "r", offset: 80, db: 2, epoch: 1 } }, lanes: { "main.s0.0": lane }, at: 1 });
  expect(checkpointOf(first, ...maps({ sequence: 0, offset: 0, epoch: 0 }), 2)).toEqual({ ...first, at: 2 });
});

test("what the topology has no more is forgotten, what has no record yet keeps its place", () => {
  const at = { replid: "r", offset: 8, db: 0, epoch: 1 };
  const lane = { sequence: 7, offset: 70, epoch: 1 };
  const previous = { shards: { s0: at, s1: at }, lanes: { "main.s0.0": lane, "main.s1.1": lane }, at: 1 };
  const next = checkpointOf(
    previous,
    new Map([["s0", null]]),
    new Map([
      ["main.s0.0", null],
      ["main.s0.1", null],
    ]),
    2,
  );
  expect(next).toEqual({ shards: { s0: at }, lanes: { "main.s0.0": lane }, at: 2 });
});
