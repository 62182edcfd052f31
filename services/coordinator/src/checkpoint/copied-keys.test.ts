import type { LaneRecord, ShardRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { copiedKeys } from "./copied-keys.ts";

test("of the destination that has most of them, in the epoch of the copy", () => {
  const shard = (epoch: number, expectedKeys: number) => ({
    revision: 1,
    value: { epoch, copied: { expectedKeys } } as ShardRecord,
  });
  const lane = (epoch: number, keys: number) => ({ revision: 1, heardAtMs: 1, value: { epoch, keys } as LaneRecord });
  const shards = new Map([
    ["s0", shard(2, 100)],
    ["s1", shard(1, 50)],
  ]);
  const lanes = new Map([
    ["main.s0.0", lane(2, 10)],
    ["main.s1.1", lane(1, 5)],
    ["far.s0.0", lane(2, 12)],
    ["far.s1.1", lane(0, 40)],
    ["main.s9.0", lane(1, 99)],
  ]);
  expect(copiedKeys({ shards, lanes })).toEqual({ keys: 15, expectedKeys: 150 });
  expect(copiedKeys({ shards: new Map(), lanes: new Map() })).toEqual({ keys: 0, expectedKeys: 0 });
});
