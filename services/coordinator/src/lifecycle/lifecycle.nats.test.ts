import { Bus, Leases } from "@sluice/bus";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import {
  assignmentRecord,
  eventsRecord,
  laneRecord,
  precheckRecord,
  recordKey,
  shardRecord,
  specRecord,
  stateRecord,
  topologyRecord,
  windowsRecord,
  type LaneRecord,
  type PipelineState,
  type RetryRecord,
  type ShardRecord,
} from "@sluice/wire";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { CoordinatorService } from "../coordinator-service.ts";
import { createPipeline } from "../desk/create-pipeline.ts";
import { deletePipeline } from "../desk/delete-pipeline.ts";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { resumePipeline, startPipeline } from "../desk/start-pipeline.ts";
import { pausePipeline, stopPipeline } from "../desk/stop-pipeline.ts";
import { transitions } from "./transitions.ts";

const log = silentLog();
const clock = systemClock;
const NOWHERE = "redis://127.0.0.1:1";

let server: NatsServer;
let bus: Bus;
let source: RedisServer;
let destination: RedisServer;
let replica: RedisServer;
beforeAll(async () => {
  // Without pings its offset stands still.
  const config = { "repl-ping-replica-period": "3600" };
  [server, source, destination] = await Promise.all([NatsServer.start(), RedisServer.start({ config }), RedisServer.start()]);
  // A replication backlog, so that there is something to continue from.
  replica = await RedisServer.start({ replicaOf: source });
  await replica.waitForSync();
  bus = await Bus.connect({ url: server.url, name: "test", log });
});
afterAll(async () => {
  await bus.close();
  for (const one of [replica, source, destination, server]) await one[Symbol.asyncDispose]();
});

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

let coordinators = 0;
const desk = (): DeskDeps => ({
  records: bus.records,
  streamOf: (name) => bus.stream(name),
  busFacts: async (name) => bus.facts(name),
  secretKey: null,
  clock,
  log,
});

/** A coordinator that runs until it is ended, with whatever it has under way. */
function startCoordinator(): { end: () => Promise<void> } {
  const stopping = new AbortController();
  const leases = new Leases(bus.records, `c${coordinators++}`, clock, log);
  const ended = supervise(new CoordinatorService({ ...desk(), leases }), stopping.signal, clock, log);
  const end = async (): Promise<void> => {
    stopping.abort();
    await ended;
    leases.close();
  };
  stops.push(end);
  return { end };
}

const bodyOf = (name: string, change: object = {}) => ({
  name,
  source: { url: source.url },
  destinations: [{ url: destination.url, existing: "overwrite" }],
  ...change,
});

/**
 * Follows the states of a pipeline; each has to be a step of the table. As they are written: what is written over before it was told, no
 * watch tells, since the bucket keeps one value of a key.
 */
function followStates(name: string): PipelineState[] {
  const seen: PipelineState[] = [];
  const { records } = bus;
  const write = records.compareAndSet.bind(records);
  vi.spyOn(records, "compareAndSet").mockImplementation(async (key, schema, value, revision) => {
    const written = await write(key, schema, value, revision);
    if (written === null || key !== recordKey.state(name)) return written;
    const { state } = stateRecord.parse(value);
    if (seen.at(-1) !== state) seen.push(state);
    return written;
  });
  return seen;
}

function expectSteps(seen: readonly PipelineState[]): void {
  for (const [index, state] of seen.slice(1).entries()) {
    expect(Object.keys(transitions[seen[index]!]), `from ${seen[index]} to ${state}`).toContain(state);
  }
}

async function stateWhere(name: string, wanted: PipelineState, reason = ""): Promise<string> {
  let last: unknown = null;
  return waitUntil(
    `${name} is ${wanted}`,
    async () => {
      const found = await bus.records.get(recordKey.state(name), stateRecord);
      last = found?.value;
      return found?.value.state === wanted && found.value.reason.includes(reason) ? found.value.reason : null;
    },
    { details: () => JSON.stringify(last) },
  );
}

const specOf = async (name: string) => (await bus.records.get(recordKey.spec(name), specRecord))!;

/** What the router, ingest and a writer do for a pipeline: they obey what is desired, and report what they are told to. */
async function services(name: string) {
  const info = await source.client().info("replication");
  const replid = /master_replid:(\w+)/.exec(info)?.[1] ?? "";
  const offset = Number(/master_repl_offset:(\d+)/.exec(info)?.[1]);
  const signs = { retry: null, halt: null, at: 1, bytes: 0, epoch: 1, copy: 1 };
  const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
  const link = { term: 1, instance: "i0", phase: "streaming" as const, replid, storedOffset: offset };
  const shard: ShardRecord = { ...signs, ...link, db: 0, copied, commands: 0 };
  const mark = { instance: "w0", phase: "live" as const, offset, sequence: 0 };
  const lane: LaneRecord = { ...signs, ...mark, keys: 0, units: 0, transactions: 0, stale: 0 };
  const shards = [{ id: "s0", host: "127.0.0.1", port: source.port, slots: "0-16383", floor: 0 }];
  let [desired, state] = ["", ""];
  const obey = (): void => {
    // Of what is gone nothing is written.
    if (desired === "") return;
    const isFed = desired === "running" || desired === "paused";
    const isApplied = desired === "running" || (desired === "stopped" && state !== "stopped");
    const value = { shards: isFed ? { s0: "i0" } : {}, lanes: isApplied ? { "main.s0.0": "w0" } : {} };
    void bus.records.put(recordKey.assignment(name), assignmentRecord, value).catch(() => undefined);
  };
  stops.push(
    bus.records.watch(recordKey.spec(name), ({ value }) => {
      desired = value === null ? "" : specRecord.parse(value).desired;
      obey();
    }),
    bus.records.watch(recordKey.state(name), ({ value }) => {
      state = value === null ? "" : stateRecord.parse(value).state;
      obey();
    }),
  );
  await bus.records.put(recordKey.topology(name), topologyRecord, { mode: "standalone", lanes: 1, shards, events: [] });
  return {
    shard: (change: Partial<ShardRecord> = {}) =>
      bus.records.put(recordKey.shard(name, "s0"), shardRecord, { ...shard, ...change }),
    lane: (change: Partial<LaneRecord> = {}) =>
      bus.records.put(recordKey.lane(name, "main.s0.0"), laneRecord, { ...lane, ...change }),
  };
}

const textsOf = async (name: string): Promise<string[]> =>
  (await bus.records.get(recordKey.events(name), eventsRecord))?.value.events.map(({ text }) => text) ?? [];

// Mutations: prechecking.ts, step that never begins the checks; pipeline-life.ts, the state that is seen without the steps to it.
test("a coordinator that ends in any state leaves a pipeline that the next one takes to where it should be", async () => {
  let { end } = startCoordinator();
  const next = async (): Promise<void> => {
    await end();
    ({ end } = startCoordinator());
  };
  const seen = followStates("p");
  await createPipeline(bodyOf("p"), { start: false }, desk());
  await stateWhere("p", "created");
  await next();

  // In the middle of the prechecks, whose end nobody hears of.
  await createPipeline(bodyOf("p", { source: { url: NOWHERE } }), { start: true }, desk());
  await next();
  const why = await stateWhere("p", "blocked");
  expect(why).toContain("SRC-001");
  const { at } = (await bus.records.get(recordKey.precheck("p"), precheckRecord))!.value.report;
  await next();
  await stateWhere("p", "blocked");

  await createPipeline(bodyOf("p"), { start: true }, desk());
  await next();
  await waitUntil("it shall run", async () => (await specOf("p")).value.desired === "running");
  expect((await bus.records.get(recordKey.precheck("p"), precheckRecord))!.value.report.at).toBeGreaterThan(at);
  await stateWhere("p", "ready");
  await next();

  const { shard, lane } = await services("p");
  await shard({ phase: "copying" });
  await stateWhere("p", "copying");
  await next();
  await shard();
  await lane();
  await stateWhere("p", "synchronizing");
  await next();
  const retry: RetryRecord = { endpoint: "destination main", since: 1, reason: "refused" };
  await lane({ retry });
  await stateWhere("p", "retrying");
  await next();
  await lane();
  await stateWhere("p", "synchronizing");

  await pausePipeline("p", desk());
  await next();
  await stateWhere("p", "paused");
  await next();
  expect(await resumePipeline("p", desk(), { dryRun: true })).toMatchObject({ outcome: "continues", desired: "paused" });
  expect(await resumePipeline("p", desk())).toMatchObject({ outcome: "continues", desired: "running" });
  await stateWhere("p", "synchronizing");
  await shard({ halt: { code: "SRC-006", message: "FOO", remedy: "…", at: 1 } });
  await stateWhere("p", "failed");
  await next();
  await startPipeline("p", desk());
  await shard();
  await stateWhere("p", "synchronizing");

  await stopPipeline("p", desk());
  await next();
  await stateWhere("p", "stopped");
  await next();
  await startPipeline("p", desk());
  await stateWhere("p", "synchronizing");
  expectSteps(seen);
  const states = [
    "created",
    "prechecking",
    "blocked",
    "ready",
    "copying",
    "synchronizing",
    "retrying",
    "paused",
    "failed",
    "stopped",
  ];
  expect(seen).toEqual(expect.arrayContaining(states));

  const texts = await textsOf("p");
  for (const told of [
    "created",
    "pause asked for",
    "waits for destination main, for 12 h at most: refused",
    "full copy 1 of shard s0 begun",
    "full copy 1 of shard s0 applied",
  ]) {
    expect(texts).toContain(told);
  }
  expect(texts.some((text) => text.startsWith("shard s0 halted: SRC-006 FOO"))).toBe(true);
  await deletePipeline("p", { force: true }, desk());
  expect(await bus.records.keys("pipeline.p.>")).toEqual([]);
  expect(await bus.stream("p").size()).toBeNull();
});

// Mutation: pipeline-life.ts, the state that is seen without the steps to it.
test("a retry window that closes fails the pipeline with its code, whoever counted; a resume goes on", async () => {
  let { end } = startCoordinator();
  const seen = followStates("w");
  await createPipeline(bodyOf("w", { retryWindow: { destination: "3s" } }), { start: true }, desk());
  const { shard, lane } = await services("w");
  await shard();
  await lane();
  await stateWhere("w", "synchronizing");
  const retry: RetryRecord = { endpoint: "destination main", since: 1, reason: "DST-001 refused" };
  await lane({ retry });
  await waitUntil("the window is open", async () => (await bus.records.get(recordKey.windows("w"), windowsRecord)) !== null);
  await end();
  ({ end } = startCoordinator());
  const reason = await stateWhere("w", "failed");
  expect(reason).toContain("DST-019 destination main was tried in vain for 3 s");
  expect(reason).toContain("sluice resume");
  expect((await specOf("w")).value).toMatchObject({ desired: "failed", failure: { code: "DST-019" } });
  await waitUntil("nothing runs", async () => {
    const { shards, lanes } = (await bus.records.get(recordKey.assignment("w"), assignmentRecord))!.value;
    return Object.keys({ ...shards, ...lanes }).length === 0;
  });
  expect((await bus.stream("w").size()) !== null).toBe(true);

  expect(await resumePipeline("w", desk())).toMatchObject({ outcome: "continues", desired: "running" });
  await lane();
  await stateWhere("w", "synchronizing");
  expectSteps(seen);
  await deletePipeline("w", { force: true }, desk());
});

// Mutation: coordinator-service.ts, no `LeftRecords`.
test("what a coordinator left that ended amid a deletion is removed by the one that takes over", async () => {
  await bus.stream("half").ensure();
  await bus.records.put(recordKey.state("half"), stateRecord, { state: "stopped", since: 1, reason: "" });
  startCoordinator();
  await waitUntil("the records are gone", async () => (await bus.records.keys("pipeline.half.>")).length === 0);
  expect(await bus.stream("half").size()).toBeNull();
});

test("one that is for a full copy alone stops by itself when that is applied", async () => {
  startCoordinator();
  await createPipeline(bodyOf("f", { mode: "full" }), { start: true }, desk());
  const { shard, lane } = await services("f");
  await shard({ phase: "copying" });
  await stateWhere("f", "copying");
  await shard();
  await lane({ phase: "snap" });
  await stateWhere("f", "copying");
  expect((await specOf("f")).value.desired).toBe("running");
  await lane();
  expect(await stateWhere("f", "stopped")).toContain("copied: the destinations hold what the source held");
  expect((await specOf("f")).value).toMatchObject({ desired: "stopped", isCopied: true });
  await deletePipeline("f", { force: false }, desk());
});

// Mutation: coordinator-service.ts, busAwayMs always 0.
test("a bus that was away for longer than its window fails the pipeline when it is back", async () => {
  startCoordinator();
  for (const [name, window] of [
    ["short", "500ms"],
    ["long", "1h"],
  ] as const) {
    await createPipeline(bodyOf(name, { retryWindow: { bus: window } }), { start: true }, desk());
    const { shard, lane } = await services(name);
    await shard();
    await lane();
    await stateWhere(name, "synchronizing");
  }
  const waits = vi.spyOn(CoordinatorService.prototype, "retrying");
  await server.kill();
  await waitUntil("the coordinator misses the bus", () => waits.mock.calls.some(([{ code }]) => code === "BUS-001"));
  // From here on it counts: for longer than the short window.
  await clock.sleep(1_000);
  await server.restart();
  expect(await stateWhere("short", "failed")).toContain("BUS-010 bus was tried in vain");
  await stateWhere("long", "synchronizing");
  expect((await specOf("long")).value.desired).toBe("running");
});
