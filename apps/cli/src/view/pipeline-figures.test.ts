import { expect, test } from "vitest";
import { pipelineFigures, rangeOf, shardCopies } from "./pipeline-figures.ts";
import { sampleLane, samplePipeline, sampleShard } from "./pipeline-status.sample.ts";

test("figures are those of the group that is furthest behind", () => {
  const lanes = [
    sampleLane({ group: "near", keys: 900, lagBytes: 100, lagSeconds: 0.1 }),
    sampleLane({ group: "far", lane: 0, keys: 300, lagBytes: 1_200, lagSeconds: 3 }),
    sampleLane({ group: "far", lane: 1, keys: 200, phase: "snap", lagBytes: null, lagSeconds: null }),
  ];
  expect(pipelineFigures(samplePipeline({ lanes }))).toMatchObject({ keys: 500, lagBytes: 1_200, lagSeconds: 3 });
});

test("a shard is copied when all its lanes are live in its epoch; what a lane counted in an earlier epoch does not count", () => {
  const copied = { keys: 0, expectedKeys: 400, bytes: 0, expectedBytes: 0 };
  const status = samplePipeline({
    shards: [sampleShard(), sampleShard({ id: "s1", epoch: 2, copied }), sampleShard({ id: "s2" }), sampleShard({ id: "s3" })],
    lanes: [
      sampleLane(),
      sampleLane({ shard: "s1", epoch: 1, keys: 700 }),
      sampleLane({ shard: "s2", lane: 0, keys: 3 }),
      sampleLane({ shard: "s2", lane: 1, keys: 5, phase: "snap" }),
    ],
  });
  expect(shardCopies(status)).toMatchObject([
    { id: "s0", isDone: true, keys: 1_000 },
    { id: "s1", isDone: false, keys: 0, fraction: null },
    { id: "s2", isDone: false, keys: 8, fraction: 0.008 },
    { id: "s3", isDone: false, keys: 0 },
  ]);
  expect(pipelineFigures(status).keys).toBe(1_008);
});

test("a range leaves out what is not known", () => {
  expect(rangeOf([3, null, 1])).toEqual({ least: 1, most: 3 });
  expect(rangeOf([null])).toBeNull();
});
