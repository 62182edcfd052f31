import type { LaneRecord, ShardRecord } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { laneLag, type SourceView } from "./lane-lag.ts";
import type { HeardLane } from "../lifecycle/pipeline-book.ts";

const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
const signs = { retry: null, halt: null, at: 1, bytes: 0, epoch: 2, copy: 1 };
const shard: ShardRecord = {
  ...signs,
  term: 1,
  instance: "i",
  phase: "streaming",
  replid: "r",
  storedOffset: 120,
  db: 0,
  copied,
  commands: 0,
};
const lane: LaneRecord = {
  ...signs,
  instance: "w",
  phase: "live",
  offset: 100,
  sequence: 1,
  keys: 0,
  units: 0,
  transactions: 0,
  stale: 0,
};
const heard = (more: Partial<LaneRecord> = {}): HeardLane => ({ value: { ...lane, ...more }, revision: 3, heardAtMs: 70 });
const source = (offset: number, replid: string | null = "r"): SourceView => ({
  newest: { offset, replid, atMs: 1, isFresh: true },
  lagSeconds: (applied, atMs) => (applied >= offset ? 0 : atMs / 1000),
});

describe("laneLag", () => {
  test("counts from the newest that is known of the source: its sample, or what ingest has stored since", () => {
    expect(laneLag(heard(), shard, source(150))).toEqual({ bytes: 50, seconds: 0.07, isDrained: false });
    expect(laneLag(heard(), shard, source(100))).toEqual({ bytes: 20, seconds: 0, isDrained: true });
  });

  test("is unknown before the copy is done and while the lane is in an older epoch", () => {
    const unknown = { bytes: null, seconds: null, isDrained: false };
    expect(laneLag(heard({ phase: "snap" }), shard, source(0))).toEqual(unknown);
    expect(laneLag(heard({ epoch: 1 }), shard, source(0))).toEqual(unknown);
    expect(laneLag(undefined, shard, source(0))).toEqual(unknown);
  });

  test("nothing is drained by a sample that is not fresh; how far behind a lane is by it is told all the same", () => {
    const stale: SourceView = { ...source(100), newest: { offset: 100, replid: "r", atMs: 1, isFresh: false } };
    expect(laneLag(heard(), shard, stale)).toEqual({ bytes: 20, seconds: 0, isDrained: false });
  });

  test("a sample of another history says nothing; one of a source that names none is believed", () => {
    expect(laneLag(heard(), shard, source(0, "other"))).toEqual({ bytes: 20, seconds: null, isDrained: false });
    expect(laneLag(heard(), shard, source(100, null)).isDrained).toBe(true);
    expect(laneLag(heard(), shard, undefined)).toEqual({ bytes: 20, seconds: null, isDrained: false });
  });
});
