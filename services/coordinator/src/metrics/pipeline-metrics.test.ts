import { MetricPage } from "@sluice/runtime";
import { pipelineState, type PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { PipelineRates } from "../checkpoint/pipeline-rates.ts";
import type { SourceView } from "../checkpoint/lane-lag.ts";
import { PipelineBook } from "../lifecycle/pipeline-book.ts";
import { statusOf } from "../api/pipeline-status.ts";
import { collectPipeline } from "./pipeline-metrics.ts";

const file = {
  name: "p",
  source: { url: "redis://a:1" },
  destinations: [{ url: "redis://b:1" }, { group: "second", url: "redis://c:1" }],
  lanes: 2,
};
const signs = { retry: null, halt: null, at: 1, bytes: 500, epoch: 3, copy: 1 };
const copied = { keys: 80, expectedKeys: 100, bytes: 800, expectedBytes: 1_000 };
const shard = {
  ...signs,
  term: 4,
  instance: "i",
  phase: "streaming",
  replid: "r",
  storedOffset: 900,
  db: 0,
  copied,
  commands: 7,
};
const lane = {
  ...signs,
  instance: "w",
  phase: "live",
  offset: 800,
  sequence: 1,
  keys: 40,
  units: 6,
  transactions: 5,
  stale: 2,
};
const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }];
const view: SourceView = {
  newest: { offset: 1_000, replid: "r", atMs: 5, isFresh: true },
  lagSeconds: (at) => (at >= 800 ? 2 : 9),
};

function bookWith(lanes: Record<string, object>, extra: Record<string, object> = {}): PipelineBook {
  const book = new PipelineBook();
  const put = (kind: string, value: object, revision: number): void =>
    book.take({ key: `pipeline.p.${kind}`, value, revision });
  put("spec", { pipeline: file, desired: "running", createdAt: 1 }, 10);
  put("topology", { mode: "cluster", lanes: 2, shards, events: [] }, 11);
  put("shard.s0", shard, 12);
  for (const [label, value] of Object.entries(lanes)) put(`lane.${label}`, value, 13);
  for (const [kind, value] of Object.entries(extra)) put(kind, value, 14);
  return book;
}

const whole = { "main.s0.0": lane, "main.s0.1": lane, "second.s0.0": lane, "second.s0.1": { ...lane, offset: 700 } };

function linesOf(status: PipelineStatus): string[] {
  const page = new MetricPage();
  collectPipeline(page, status);
  return page
    .text()
    .split("\n")
    .filter((line) => !line.startsWith("#"));
}

const statusNow = (book: PipelineBook, rates: PipelineRates | null = null) =>
  statusOf(book.get("p")!, new Map([["s0", view]]), { messages: 3, bytes: 400, limitBytes: 1_000 }, rates);

test("lag is that of the slowest lane of each group, offsets and counts are each lane's own", () => {
  const lines = linesOf(statusNow(bookWith(whole)));
  expect(lines).toEqual(
    expect.arrayContaining([
      'sluice_lag_bytes{pipeline="p",group="main",shard="s0"} 200',
      'sluice_lag_bytes{pipeline="p",group="second",shard="s0"} 300',
      'sluice_lag_seconds{pipeline="p",group="main",shard="s0"} 2',
      'sluice_lag_seconds{pipeline="p",group="second",shard="s0"} 9',
      'sluice_source_offset_bytes{pipeline="p",shard="s0"} 1000',
      'sluice_stored_offset_bytes{pipeline="p",shard="s0"} 900',
      'sluice_applied_offset_bytes{pipeline="p",group="second",shard="s0",lane="1"} 700',
      'sluice_units_applied_total{pipeline="p",group="main",shard="s0",lane="0"} 6',
      'sluice_transactions_refused_total{pipeline="p",group="main",shard="s0",lane="0"} 2',
      'sluice_stream_limit_bytes{pipeline="p"} 1000',
      'sluice_pipeline_copy_ratio{pipeline="p"} 1',
    ]),
  );
});

test("the state is one of all states, waits and alarms are there while they last", () => {
  const window = {
    endpoint: "destination main",
    kind: "destination",
    since: 5,
    elapsedMs: 20_000,
    windowMs: 80_000,
    reason: "ECONNREFUSED",
  };
  const alarm = { group: "main", server: "b:1", since: 9, lost: 7, text: "keys are evicted" };
  const servers = { "b:1": { group: "main", runId: "x", evicted: 9, lost: 7 } };
  const status = statusNow(
    bookWith(whole, {
      state: { state: "retrying", since: 4_000, reason: "waits" },
      windows: { spec: 10, windows: [window], idleMs: 0 },
      memory: { servers, alarms: [{ ...alarm, epoch: 3 }] },
    }),
  );
  expect(status.waits).toEqual([
    { endpoint: "destination main", kind: "destination", since: 5, reason: "ECONNREFUSED", secondsLeft: 60 },
  ]);
  expect(status.alarms).toEqual([{ id: "evictions", ...alarm }]);
  const lines = linesOf(status);
  const states = lines.filter((line) => line.startsWith("sluice_pipeline_state{"));
  expect(states).toHaveLength(pipelineState.options.length);
  expect(states.filter((line) => line.endsWith(" 1"))).toEqual(['sluice_pipeline_state{pipeline="p",state="retrying"} 1']);
  expect(lines).toContain('sluice_retry_seconds_left{pipeline="p",endpoint="destination main"} 60');
  expect(lines).toContain('sluice_pipeline_alarms{pipeline="p",alarm="evictions"} 1');
  expect(lines).toContain('sluice_destination_evicted_keys_total{pipeline="p",group="main"} 7');
});

test("windows of an earlier start count no more", () => {
  const window = { endpoint: "bus", kind: "bus", since: 5, elapsedMs: 1, windowMs: 2, reason: "" };
  expect(statusNow(bookWith(whole, { windows: { spec: 9, windows: [window], idleMs: 0 } })).waits).toEqual([]);
});

test("a copy tells how much of it stands in the slowest destination, how fast it goes and how long it takes", () => {
  const copying = { ...lane, phase: "snap", offset: 0, keys: 10, units: 10 };
  const book = bookWith({ "main.s0.0": lane, "main.s0.1": copying, "second.s0.0": copying, "second.s0.1": copying });
  const rates = new PipelineRates();
  rates.take(book.get("p")!, new Map([["s0", view]]), 1_000);
  for (const lane of ["main.s0.1", "second.s0.0"])
    book.take({ key: `pipeline.p.lane.${lane}`, value: { ...copying, keys: 20, units: 20 }, revision: 20 });
  rates.take(book.get("p")!, new Map([["s0", view]]), 3_000);
  const [main, second] = statusNow(book, rates).groups;
  expect(main).toMatchObject({ group: "main", keys: 60, expectedKeys: 100, isCopied: false, keysPerSecond: 5, etaSeconds: 8 });
  expect(second).toMatchObject({ keys: 30, keysPerSecond: 5, etaSeconds: 14, lagBytes: null, lagSeconds: null });
  const lines = linesOf(statusNow(book, rates));
  expect(lines).toContain('sluice_pipeline_copy_ratio{pipeline="p"} 0.3');
  expect(lines).toContain('sluice_pipeline_eta_seconds{pipeline="p"} 14');
  expect(lines.filter((line) => line.startsWith("sluice_lag"))).toEqual([]);
});

test("another instance that takes a lane counts from 0, and no rate jumps", () => {
  const book = bookWith(whole);
  const rates = new PipelineRates();
  rates.take(book.get("p")!, new Map([["s0", view]]), 0);
  book.take({ key: "pipeline.p.lane.main.s0.0", value: { ...lane, units: 0 }, revision: 20 });
  rates.take(book.get("p")!, new Map([["s0", view]]), 1_000);
  book.take({ key: "pipeline.p.lane.main.s0.0", value: { ...lane, units: 8 }, revision: 21 });
  rates.take(book.get("p")!, new Map([["s0", view]]), 2_000);
  expect(rates.feed("main", "s0").units).toBe(4);
});

test("catching up takes as long as the lag needs to shrink", () => {
  const behind = { ...lane, offset: 100 };
  const book = bookWith({ "main.s0.0": behind, "main.s0.1": lane, "second.s0.0": lane, "second.s0.1": lane });
  const rates = new PipelineRates();
  rates.take(book.get("p")!, new Map([["s0", view]]), 0);
  book.take({ key: "pipeline.p.lane.main.s0.0", value: { ...behind, offset: 400 }, revision: 20 });
  rates.take(book.get("p")!, new Map([["s0", view]]), 2_000);
  expect(statusNow(book, rates).groups.map(({ etaSeconds }) => etaSeconds)).toEqual([4, 0]);
});
