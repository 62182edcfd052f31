import type { MemoryRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { behindSamples, type MemorySample } from "./memory-watch.ts";

const empty: MemoryRecord = { servers: {}, alarms: [] };
const sample = (evicted: number, runId = "a"): MemorySample => ({
  group: "main",
  server: "10.0.0.1:6379",
  runId,
  evicted,
  policy: "allkeys-lru",
});

test("what a server had evicted before is no alarm; what it evicts from then on is one, until a copy of a later epoch", () => {
  const first = behindSamples(empty, [sample(100)], [1], 1);
  expect([first.record.alarms, first.news]).toEqual([[], []]);
  const second = behindSamples(first.record, [sample(103)], [1], 2);
  expect(second.record.alarms).toMatchObject([{ group: "main", server: "10.0.0.1:6379", lost: 3, epoch: 1, since: 2 }]);
  expect(second.news[0]?.text).toContain("has evicted 3 keys for want of memory (maxmemory-policy allkeys-lru)");
  const third = behindSamples(second.record, [sample(103)], [1], 3);
  expect(third).toEqual({ record: second.record, news: [] });
  const restarted = behindSamples(third.record, [sample(5, "b")], [1], 4);
  expect(restarted.record.alarms[0]).toMatchObject({ lost: 8, since: 2 });
  expect(restarted.record.servers["10.0.0.1:6379"]).toMatchObject({ evicted: 5, lost: 8 });
  expect(behindSamples(restarted.record, [sample(5, "b")], [2, 1], 5).record.alarms).toHaveLength(1);
  expect(behindSamples(restarted.record, [sample(5, "b")], [2, 2], 5).record.alarms).toEqual([]);
});

test("it is told again only when twice as many keys are lost", () => {
  let record = behindSamples(empty, [sample(0)], [1], 1).record;
  const told: number[] = [];
  for (let evicted = 1; evicted <= 100; evicted++) {
    const next = behindSamples(record, [sample(evicted)], [1], evicted);
    record = next.record;
    if (next.news.length > 0) told.push(evicted);
  }
  expect(told).toEqual([1, 2, 4, 8, 16, 32, 64]);
});

test("a server that does not answer keeps what is known of it", () => {
  const known = behindSamples(empty, [sample(7)], [1], 1).record;
  expect(behindSamples(known, [], [1], 2).record).toEqual(known);
});
