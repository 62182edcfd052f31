import type { ShardRecord, TopologyRecord } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { outlookOf, type OutlookFacts } from "./resume-outcome.ts";
import { readHistory, type SourceHistory } from "./source-histories.ts";

const topology: TopologyRecord = {
  mode: "standalone",
  lanes: 1,
  shards: [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }],
  events: [],
};
const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
const link = { epoch: 1, copy: 1, term: 1, instance: "i0", phase: "streaming" as const, replid: "aaa", storedOffset: 500 };
const shard: ShardRecord = { ...link, db: 0, copied, commands: 0, bytes: 0, retry: null, halt: null, at: 1 };
const told = {
  kind: "told" as const,
  replid: "aaa",
  formerReplid: "000",
  secondReplOffset: -1,
  backlog: { first: 400, last: 900 },
};
const facts: OutlookFacts = {
  topology,
  shards: new Map([["s0", shard]]),
  histories: new Map([["s0", told]]),
  idleMs: 0,
  graceMs: 730 * 60_000,
};
const outcomeWith = (change: Partial<OutlookFacts>) => outlookOf({ ...facts, ...change });
const historyOf = (change: Partial<Extract<SourceHistory, { kind: "told" }>>) => ({
  histories: new Map<string, SourceHistory>([["s0", { ...told, ...change }]]),
});
const shardOf = (change: Partial<ShardRecord>) => ({ shards: new Map([["s0", { ...shard, ...change }]]) });

describe("outlookOf", () => {
  test("continues while the source's backlog holds what follows, to the byte", () => {
    expect(outcomeWith({}).outcome).toBe("continues");
    expect(outcomeWith(historyOf({ backlog: { first: 501, last: 900 } })).outcome).toBe("continues");
    expect(outcomeWith(historyOf({ backlog: { first: 100, last: 500 } })).outcome).toBe("continues");
    expect(outcomeWith(historyOf({ backlog: { first: 502, last: 900 } }))).toEqual({
      outcome: "copies",
      why: "shard s0: the source's backlog holds 502 to 900, and 501 is to follow",
    });
    expect(outcomeWith(historyOf({ backlog: { first: 100, last: 499 } })).outcome).toBe("copies");
    expect(outcomeWith(historyOf({ backlog: null })).outcome).toBe("copies");
  });

  test("a promoted replica continues what it shares with the former primary, and nothing beyond", () => {
    const promoted = { replid: "bbb", formerReplid: "aaa" };
    expect(outcomeWith(historyOf({ ...promoted, secondReplOffset: 501 })).outcome).toBe("continues");
    expect(outcomeWith(historyOf({ ...promoted, secondReplOffset: 500 }))).toMatchObject({ outcome: "copies" });
    expect(outcomeWith(historyOf({ replid: "bbb" })).why).toContain("knows nothing of the history");
  });

  test("copies where nothing can be continued, whatever the source says", () => {
    expect(outcomeWith({ topology: null }).outcome).toBe("copies");
    expect(outcomeWith({ shards: new Map() }).outcome).toBe("copies");
    expect(outcomeWith(shardOf({ phase: "copying" })).why).toContain("broken off");
    expect(outcomeWith({ topology: { ...topology, shards: [{ ...topology.shards[0]!, floor: 1 }] } }).outcome).toBe("copies");
  });

  test("does not know where the source can't be asked, unless another shard tells", () => {
    const silent = { kind: "silent" as const, why: "refused" };
    expect(outcomeWith({ histories: new Map([["s0", silent]]) })).toEqual({
      outcome: "unknown",
      why: "shard s0: it can't be asked now: refused",
    });
    const shards = [topology.shards[0]!, { ...topology.shards[0]!, id: "s1" }];
    expect(outcomeWith({ topology: { ...topology, shards }, histories: new Map([["s0", silent]]) }).outcome).toBe("copies");
  });

  // Mutation: resume-outcome.ts, isTooLong never: keys that were renewed at the source stay expired in the destination.
  test("copies when expiries in the destinations may have run out meanwhile", () => {
    expect(outcomeWith({ idleMs: 728 * 60_000 }).outcome).toBe("continues");
    expect(outcomeWith({ idleMs: 729.5 * 60_000 })).toMatchObject({
      outcome: "copies",
      why: expect.stringContaining("nothing was applied for 12 h 9 min") as string,
    });
  });
});

test("a replica, and a server without a backlog, say so", () => {
  expect(readHistory("role:slave\r\nmaster_replid:aaa\r\n").kind).toBe("silent");
  const info = "role:master\r\nmaster_replid:aaa\r\nmaster_replid2:bbb\r\nsecond_repl_offset:77\r\n";
  expect(readHistory(info)).toEqual({ kind: "told", replid: "aaa", formerReplid: "bbb", secondReplOffset: 77, backlog: null });
  const backlog = "repl_backlog_active:1\r\nrepl_backlog_first_byte_offset:10\r\nrepl_backlog_histlen:5\r\n";
  expect(readHistory(info + backlog)).toMatchObject({ backlog: { first: 10, last: 14 } });
});
