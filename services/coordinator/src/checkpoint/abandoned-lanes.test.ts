import { describe, expect, test } from "vitest";
import { PipelineBook } from "../lifecycle/pipeline-book.ts";
import { abandonedLanes } from "./abandoned-lanes.ts";

const signs = { retry: null, halt: null, at: 1, bytes: 0, copy: 1 };
const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
const lane = (epoch: number, phase = "live") => {
  const counts = { offset: 1, sequence: 1, keys: 0, units: 0, transactions: 0, stale: 0 };
  return { ...signs, ...counts, instance: "w", epoch, phase };
};
const shard = (epoch: number) => {
  const link = { term: 1, instance: "i", phase: "streaming", replid: "r", storedOffset: 1, db: 0 };
  return { ...signs, ...link, epoch, copied, commands: 0 };
};

const groupCopy = { ...signs, epoch: 2, groups: { other: 1 }, phase: "stored", offset: 1, replid: "r", copied };

/** s0 has taken over all that s1 had, at epoch 4; two lanes over all slots, two groups. */
function abandonedWhere(records: Record<string, object>) {
  const book = new PipelineBook();
  const destinations = [{ url: "redis://b:1" }, { group: "other", url: "redis://c:1" }];
  const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations };
  const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 4 }];
  const all = {
    spec: { pipeline, desired: "running", createdAt: 1 },
    topology: { mode: "cluster", lanes: 2, shards, events: [] },
    "shard.s0": shard(5),
    "shard.s1": { ...shard(2), copies: [{ ...groupCopy, copy: 4 }] },
    "lane.main.s0.0": lane(5),
    "lane.main.s0.1": lane(5),
    "lane.other.s0.0": lane(5),
    "lane.other.s0.1": lane(5),
    "lane.main.s1.1": { ...lane(2), copy: 3 },
    "lane.other.s1.1": lane(2, "snap"),
    ...records,
  };
  for (const [index, [key, value]] of Object.entries(all).entries())
    book.take({ key: `pipeline.p.${key}`, value, revision: index + 1 });
  return abandonedLanes(book.get("p")!);
}

describe("abandonedLanes", () => {
  // Mutations: abandoned-lanes.ts, the copies of the shard's record, or of its other lanes, left out; the last one alone.
  test("are told once every lane that there is lives in the new epoch, each once for all groups, with every copy that there may be", () => {
    expect(abandonedWhere({ "lane.other.s1.0": { ...lane(2), copy: 2 } })).toEqual([
      { shardId: "s1", lane: 1, copies: [1, 2, 3, 4] },
      { shardId: "s1", lane: 0, copies: [1, 2, 3, 4] },
    ]);
  });

  test.each([
    ["a shard is still in the epoch of its old slots", { "shard.s0": shard(4) }],
    ["a shard has begun another epoch", { "shard.s0": shard(6) }],
    ["a lane copies", { "lane.other.s0.1": lane(5, "snap") }],
    ["a lane is not taken up yet", { "lane.other.s0.1": lane(0, "snap") }],
  ])("none while %s", (_, records) => {
    expect(abandonedWhere(records)).toEqual([]);
  });
});
