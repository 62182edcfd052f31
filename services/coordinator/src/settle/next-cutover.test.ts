import type { CutoverRecord } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { desiredIn, nextCutover, type CutoverFacts } from "./next-cutover.ts";

const settling = { isRemarked: false, slots: null, looked: 0, expected: 0, settled: 0, retry: null, halt: null };
const record: CutoverRecord = { phase: "draining", isForced: false, reason: "", since: 1, drainedAt: {}, groups: {} };
const samples = new Map([["s0", { calls: 7, offset: 500, replid: "r1" }]]);
const facts: CutoverFacts = {
  record,
  trouble: null,
  lanes: [{ label: "main.s0.0", shardId: "s0", isLive: true, offset: 500, replid: "r1" }],
  source: { quietMs: 3_000, failure: null, failingMs: 0, samples, quietSamples: samples, isAskedBehindStop: true },
  stop: null,
  isReleased: true,
  groups: ["main", "copy"],
};
const phaseOf = (change: Partial<CutoverFacts>): string => nextCutover({ ...facts, ...change }).phase;
const lane = facts.lanes[0]!;

describe("draining", () => {
  test("ends when the source's clients are quiet and every lane has applied what they wrote", () => {
    expect(nextCutover(facts)).toMatchObject({ phase: "stopping", drainedAt: { s0: { calls: 7, offset: 500, replid: "r1" } } });
  });

  test.each<[string, Partial<CutoverFacts>]>([
    ["the pipeline waits or copies", { trouble: "retrying: bus" }],
    ["the source can't be asked", { source: { ...facts.source, quietMs: null, failure: "refused" } }],
    ["its clients wrote lately", { source: { ...facts.source, quietMs: 2_999 } }],
    ["it is not known what they had written when they stopped", { source: { ...facts.source, quietSamples: null } }],
    ["a lane is behind", { lanes: [lane, { ...lane, offset: 499 }] }],
    ["a lane is further in another history", { lanes: [{ ...lane, offset: 900, replid: "r0" }] }],
    ["ingest is not at its source", { lanes: [{ ...lane, replid: null }] }],
    ["a lane copies", { lanes: [{ ...lane, isLive: false }] }],
    ["a shard was not asked", { lanes: [lane, { ...lane, shardId: "s1" }] }],
    ["there are no lanes yet", { lanes: [] }],
  ])("goes on while %s", (_, change) => {
    expect(phaseOf(change)).toBe("draining");
    expect(nextCutover({ ...facts, ...change }).reason).not.toBe("");
  });

  test("what the source does by itself later, such as expiring keys, is not waited for", () => {
    const later = new Map([["s0", { calls: 7, offset: 900, replid: "r1" }]]);
    expect(phaseOf({ source: { ...facts.source, samples: later } })).toBe("stopping");
  });
});

describe("stopping", () => {
  const stopping: CutoverRecord = { ...record, phase: "stopping", drainedAt: { s0: { calls: 7, offset: 500, replid: "r1" } } };
  const stopped = { ...facts, record: stopping, stop: { isDone: true, reason: "", unapplied: {} } };
  const withSample = (calls: number, offset: number, replid = "r1"): CutoverFacts => ({
    ...stopped,
    source: { ...facts.source, samples: new Map([["s0", { calls, offset, replid }]]) },
  });

  test("waits for the pipeline to stop, and for the source to be asked behind that", () => {
    expect(phaseOf({ ...stopped, stop: null })).toBe("stopping");
    expect(phaseOf({ ...stopped, stop: { isDone: false, reason: "r", unapplied: {} } })).toBe("stopping");
    expect(phaseOf({ ...stopped, source: { ...facts.source, isAskedBehindStop: false } })).toBe("stopping");
    expect(phaseOf({ ...stopped, source: { ...facts.source, quietMs: null, failure: "away" } })).toBe("stopping");
    expect(phaseOf(stopped)).toBe("settling");
  });

  test("goes back when a client wrote meanwhile, and not for what the source did by itself", () => {
    expect(nextCutover(withSample(8, 600)).phase).toBe("draining");
    expect(nextCutover(withSample(7, 600)).phase).toBe("settling");
    expect(nextCutover(withSample(8, 500)).phase).toBe("settling");
    expect(nextCutover(withSample(0, 600)).phase).toBe("draining");
    expect(nextCutover(withSample(7, 500, "r2")).phase).toBe("draining");
    expect(nextCutover({ ...stopped, source: { ...facts.source, samples: new Map() } }).phase).toBe("draining");
  });

  // Mutation: next-cutover.ts without AWAY_MS: a source that failed over meanwhile is asked where it was, for ever.
  test("runs on when the source is away for longer: what failed over is found by a pipeline that runs only", () => {
    const away = (failingMs: number) => ({ ...facts.source, quietMs: null, failure: "refused", failingMs });
    expect(phaseOf({ ...stopped, source: away(29_999) })).toBe("stopping");
    expect(phaseOf({ ...stopped, source: away(30_000) })).toBe("draining");
    expect(phaseOf({ ...stopped, record: { ...stopping, isForced: true }, source: away(30_000) })).toBe("settling");
  });

  test("by force it asks the source nothing", () => {
    const forced = { ...stopped, record: { ...stopping, isForced: true } };
    expect(phaseOf({ ...forced, source: { ...facts.source, quietMs: null, failure: "dead" } })).toBe("settling");
  });
});

test("what a forced one gives up is named, to its end; one that is not forced runs on", () => {
  const unapplied = { "main.s0.0": 120, "main.s0.1": null };
  const stop = { isDone: true, reason: "", unapplied };
  const forced: CutoverRecord = { ...record, phase: "stopping", isForced: true };
  const loss = "; not applied: lane main.s0.0 (120 bytes), lane main.s0.1 (its copy is incomplete)";
  expect(nextCutover({ ...facts, record: forced, stop })).toEqual({
    phase: "settling",
    reason: `forced: settling what is there${loss}`,
    unapplied,
  });
  const done: CutoverRecord = { ...forced, phase: "settling", unapplied, groups: { main: { ...settling, isDone: true } } };
  expect(nextCutover({ ...facts, record: done, groups: ["main"] }).reason).toBe(`the destinations stand by themselves${loss}`);
  const many = { a: 1, b: 1, c: 1, d: 1, e: 1 };
  const named = nextCutover({ ...facts, record: forced, stop: { ...stop, unapplied: many } }).reason;
  expect(named).toContain("lane c (1 bytes) and 2 others");
  expect(phaseOf({ record: { ...forced, isForced: false }, stop })).toBe("draining");
});

describe("settling", () => {
  const begun: CutoverRecord = { ...record, phase: "settling" };
  test("waits until nobody runs anything of the pipeline, then for every group", () => {
    expect(phaseOf({ record: begun, isReleased: false })).toBe("settling");
    const half = { ...begun, groups: { main: { ...settling, isDone: true }, copy: { ...settling, isDone: false } } };
    expect(nextCutover({ ...facts, record: half })).toEqual({ phase: "settling", reason: "settling the expiries of copy" });
    const whole = { ...begun, groups: { main: { ...settling, isDone: true }, copy: { ...settling, isDone: true } } };
    expect(phaseOf({ record: whole })).toBe("done");
    expect(phaseOf({ record: { ...whole, phase: "done" } })).toBe("done");
  });
});

test("only a cut-over that settles takes the pipeline away from the operator", () => {
  expect((["draining", "stopping", "settling", "done", "cancelled"] as const).map(desiredIn)).toEqual([
    "running",
    "stopped",
    "cut-over",
    "cut-over",
    null,
  ]);
});
