import { Bus, Leases } from "@sluice/bus";
import { slotTag } from "@sluice/redis";
import { openSecret, silentLog, supervise, systemClock } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import {
  apiError,
  assignmentRecord,
  epochRecord,
  formatMark,
  laneMarkKey,
  laneRecord,
  pipelineList,
  pipelineStatus,
  precheckRecord,
  precheckReport,
  recordKey,
  routerRecord,
  shardRecord,
  specRecord,
  stateRecord,
  topologyRecord,
  type LaneRecord,
  type PipelineStatus,
  type ShardRecord,
  type TopologyRecord,
} from "@sluice/wire";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CoordinatorService } from "../coordinator-service.ts";
import { createApi } from "./api-server.ts";

const log = silentLog();
const clock = systemClock;
const secretKey = Buffer.alloc(32, 7);

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

let bus: Bus;
let api: FastifyInstance;
let stopCoordinator: () => Promise<void>;
beforeEach(async () => {
  const server = await NatsServer.start();
  stops.push(async () => server[Symbol.asyncDispose]());
  bus = await Bus.connect({ url: server.url, name: "test", log });
  stops.push(() => bus.close());
  ({ api, stop: stopCoordinator } = startCoordinator("c0"));
  await readiness(api);
});

function startCoordinator(instance: string): { api: FastifyInstance; stop: () => Promise<void> } {
  const stopping = new AbortController();
  const leases = new Leases(bus.records, instance, clock, log);
  const deps = {
    records: bus.records,
    streamOf: (name: string) => bus.stream(name),
    secretKey,
    clock,
    log,
    busFacts: (name: string) => bus.facts(name),
  };
  const coordinator = new CoordinatorService({ ...deps, leases });
  const ended = supervise(coordinator, stopping.signal, clock, log);
  const own = createApi({ ...deps, active: () => coordinator.active });
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
    leases.close();
    await own.close();
  };
  stops.push(stop);
  return { api: own, stop };
}

const readiness = (of: FastifyInstance) =>
  waitUntil("the coordinator is active", async () => (await of.inject("/readyz")).statusCode === 200);

async function redis(config: Record<string, string> = {}): Promise<RedisServer> {
  const server = await RedisServer.start({ config });
  stops.push(async () => server[Symbol.asyncDispose]());
  return server;
}

async function startReplica(of: RedisServer): Promise<RedisServer> {
  const server = await RedisServer.start({ replicaOf: of });
  stops.push(async () => server[Symbol.asyncDispose]());
  return server;
}

const bodyOf = (source: { url: string; password?: string }, destination: object) => ({
  name: "p",
  source,
  destinations: [destination],
});
const post = (payload: object) => api.inject({ method: "POST", url: "/api/v1/pipelines", payload });

async function refusal(payload: object): Promise<{ status: number; code: string; message: string }> {
  const answer = await post(payload);
  const { code, message } = apiError.parse(answer.json()).error;
  return { status: answer.statusCode, code, message };
}

/** The codes that the prechecks of a pipeline end with. It replaces the one before, which never ran. */
async function failures(payload: object): Promise<string[]> {
  const before = (await bus.records.get(recordKey.precheck("p"), precheckRecord))?.revision;
  expect((await post(payload)).statusCode).toBe(201);
  await waitUntil("its prechecks have run", async () => {
    const found = await bus.records.get(recordKey.precheck("p"), precheckRecord);
    return found !== null && found.revision !== before;
  });
  const answer = await api.inject("/api/v1/pipelines/p/precheck");
  const report = precheckReport.parse(answer.json());
  expect(answer.payload).not.toContain("not-the-secret");
  return report.results.filter(({ level }) => level === "fail").map(({ code, found }) => `${code} ${found}`);
}

/** Posts a pipeline, which then runs. */
async function runs(payload: object): Promise<void> {
  expect((await post(payload)).statusCode).toBe(201);
  await statusWhere("it shall run", ({ desired }) => desired === "running");
}

async function statusWhere(what: string, holds: (status: PipelineStatus) => boolean, of = api): Promise<PipelineStatus> {
  let last: unknown = null;
  return waitUntil(
    what,
    async () => {
      const answer = await of.inject("/api/v1/pipelines/p");
      last = answer.json();
      const status = pipelineStatus.parse(last);
      return holds(status) ? status : null;
    },
    { details: () => JSON.stringify(last) },
  );
}

/** Does what the router, ingest and a writer would. */
async function work(source: RedisServer) {
  const epoch = 1;
  const info = await source.client().info("replication");
  const offset = Number(/master_repl_offset:(\d+)/.exec(info)?.[1]);
  const replid = /master_replid:(\w+)/.exec(info)?.[1] ?? "";
  const lifeSigns = { retry: null, halt: null, at: 1, bytes: 0 };
  const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
  const link = { epoch, copy: 1, term: 1, instance: "i0", phase: "streaming" as const, replid, storedOffset: offset };
  const shard: ShardRecord = { ...link, ...lifeSigns, db: 0, copied, commands: 0 };
  const mark = { instance: "w0", epoch, copy: 1, phase: "live" as const, offset, sequence: 1 };
  const lane: LaneRecord = { ...mark, ...lifeSigns, keys: 0, units: 0, transactions: 0, stale: 0 };
  const topology: TopologyRecord = {
    mode: "standalone",
    lanes: 1,
    shards: [{ id: "s0", host: "127.0.0.1", port: source.port, slots: "0-16383", floor: 0 }],
    events: [],
  };
  const place = async () => bus.records.put(recordKey.topology("p"), topologyRecord, topology);
  await place();
  await assign({ s0: "i0" }, { "main.s0.0": "w0" });
  return {
    shard: (change: Partial<ShardRecord>) => bus.records.put(recordKey.shard("p", "s0"), shardRecord, { ...shard, ...change }),
    lane: (change: Partial<LaneRecord>) =>
      bus.records.put(recordKey.lane("p", "main.s0.0"), laneRecord, { ...lane, ...change }),
    place,
    offset,
  };
}

const assign = (shards: Record<string, string>, lanes: Record<string, string>) =>
  bus.records.put(recordKey.assignment("p"), assignmentRecord, { shards, lanes });

/** A router for as long as the test runs: takes work back as the desired and the observed state ask for it. */
function followStops(): void {
  let desired = "running";
  let state = "created";
  const obey = (): void =>
    void assign(
      desired === "running" ? { s0: "i0" } : {},
      desired === "running" || state !== "stopped" ? { "main.s0.0": "w0" } : {},
    );
  const unwatches = [
    bus.records.watch(recordKey.spec("p"), ({ value }) => {
      ({ desired } = specRecord.parse(value));
      obey();
    }),
    bus.records.watch(recordKey.state("p"), ({ value }) => {
      ({ state } = stateRecord.parse(value));
      obey();
    }),
  ];
  for (const unwatch of unwatches) stops.push(() => Promise.resolve(unwatch()));
}

describe("the life of a pipeline through the API", () => {
  test("is created, copies, synchronizes, stops and is resumed", async () => {
    // A replication backlog, so that offsets move, and no pings, so that nothing else moves them.
    const [source, destination] = [await redis({ "repl-ping-replica-period": "3600" }), await redis()];
    await (await startReplica(source)).waitForSync();
    const body = bodyOf({ url: source.url }, { url: destination.url });
    const created = await post(body);
    expect([created.statusCode, created.json()]).toEqual([201, { name: "p", outcome: "created" }]);
    const first = await statusWhere("it is ready", ({ state, desired }) => state === "ready" && desired === "running");
    expect(first).toMatchObject({ desired: "running", drained: false, shards: [], lanes: [], checkpoint: null });
    expect((await bus.stream("p").size())?.messages).toBe(0);

    const { shard, lane, offset } = await work(source);
    await shard({ phase: "copying" });
    await statusWhere("it copies", ({ state }) => state === "copying");
    await shard({});
    await lane({});
    const synchronizing = await statusWhere("it synchronizes", ({ state, drained }) => state === "synchronizing" && drained);
    expect(synchronizing.lanes[0]).toMatchObject({
      group: "main",
      shard: "s0",
      lane: 0,
      instance: "w0",
      lagSeconds: 0,
      lagBytes: 0,
    });
    expect(synchronizing.shards[0]).toMatchObject({ id: "s0", instance: "i0", sourceOffset: offset });
    expect(synchronizing.sampledAt).toBeGreaterThan(0);

    await source.client().set("key", "x".repeat(1000));
    const behind = await statusWhere("it lags", ({ drained }) => !drained);
    expect(behind.lanes[0]!.lagBytes).toBeGreaterThan(1000);
    await statusWhere("the checkpoint follows", ({ checkpoint }) => checkpoint?.lanes["main.s0.0"]?.offset === offset);

    followStops();
    expect((await api.inject({ method: "POST", url: "/api/v1/pipelines/p/stop" })).statusCode).toBe(202);
    await statusWhere("it is stopped", ({ state, desired }) => state === "stopped" && desired === "stopped");
    await waitUntil("the lanes are taken back", async () => {
      const found = await bus.records.get(recordKey.assignment("p"), assignmentRecord);
      return Object.keys(found?.value.lanes ?? { none: 1 }).length === 0;
    });

    const resumed = await post(body);
    expect([resumed.statusCode, resumed.json()]).toEqual([200, { name: "p", outcome: "resumed" }]);
    await statusWhere("it runs again", ({ state, desired }) => state !== "stopped" && desired === "running");
    expect(pipelineList.parse((await api.inject("/api/v1/pipelines")).json()).pipelines.map(({ name }) => name)).toEqual(["p"]);
  });

  test("a failed one is shown as failed with its reason, and starts again when it is posted again", async () => {
    const [source, destination] = [await redis(), await redis()];
    const body = bodyOf({ url: source.url }, { url: destination.url });
    await runs(body);
    const { shard, lane } = await work(source);
    followStops();
    await shard({});
    await lane({ halt: { code: "DST-004", message: "INCR failed", remedy: "…", at: 1 } });
    const failed = await statusWhere("it failed", ({ state }) => state === "failed");
    expect(failed.reason).toBe("lane main.s0.0: DST-004 INCR failed");
    const seen: string[] = [];
    const unwatch = bus.records.watch(recordKey.spec("p"), ({ value }) => seen.push(specRecord.parse(value).desired));
    stops.push(() => Promise.resolve(unwatch()));
    const halted = await bus.records.get(recordKey.lane("p", "main.s0.0"), laneRecord);
    expect((await post(body)).statusCode).toBe(200);
    await statusWhere("the old halt counts no more", ({ state }) => state !== "failed" && state !== "stopped");
    // A start is one write of the spec, above the halt: by its revision lanes know that they may go on, and instances that they start anew.
    const spec = await bus.records.get(recordKey.spec("p"), specRecord);
    expect(spec?.value.desired).toBe("running");
    expect(spec?.revision).toBeGreaterThan(halted!.revision);
    expect(seen).not.toContain("stopped");
  });

  test("what the router can't look at is shown before there is a topology, until it can; and such a one can be stopped", async () => {
    const [source, destination] = [await redis(), await redis()];
    await runs(bodyOf({ url: source.url }, { url: destination.url }));
    const { revision } = (await bus.records.get(recordKey.spec("p"), specRecord))!;
    const say = (watch: string, trouble: object) =>
      bus.records.put(recordKey.router("p", watch), routerRecord, {
        spec: revision,
        retry: null,
        halt: null,
        at: 1,
        ...trouble,
      });
    await say("source", { retry: { endpoint: "source p", since: 1, reason: "ECONNREFUSED" } });
    const waiting = await statusWhere("it waits", ({ state }) => state === "retrying");
    expect(waiting.reason).toBe("router waits for source p: ECONNREFUSED");
    await say("destination.main", { halt: { code: "PIP-008", message: "it is a cluster now", remedy: "Do this.", at: 1 } });
    const failed = await statusWhere("it failed", ({ state }) => state === "failed");
    expect(failed.reason).toBe("router: PIP-008 it is a cluster now. Do this.");
    await say("destination.main", {});
    await say("source", {});
    await statusWhere("nothing is wrong any more", ({ state }) => state === "ready");
    await api.inject({ method: "POST", url: "/api/v1/pipelines/p/stop" });
    await statusWhere("it is stopped", ({ state }) => state === "stopped");
  });

  test("another coordinator takes over where the first one ended", async () => {
    const [source, destination] = [await redis(), await redis()];
    await runs(bodyOf({ url: source.url }, { url: destination.url }));
    const { shard, lane } = await work(source);
    await shard({});
    await lane({});
    const before = await statusWhere(
      "it synchronizes",
      ({ state, checkpoint }) => state === "synchronizing" && checkpoint !== null,
    );
    const second = startCoordinator("c1").api;
    const standby = await second.inject("/api/v1/pipelines/p");
    expect([standby.statusCode, apiError.parse(standby.json()).error.code]).toEqual([503, "SLU-003"]);
    expect((await second.inject("/livez")).statusCode).toBe(200);
    await stopCoordinator();
    await readiness(second);
    const isKnown = ({ state, checkpoint }: PipelineStatus): boolean => state === "synchronizing" && checkpoint !== null;
    const after = await statusWhere("it is known there", isKnown, second);
    expect(after).toMatchObject({ state: "synchronizing", since: before.since, checkpoint: before.checkpoint });
  });
});

describe("what the API refuses", () => {
  test("servers that can't be used, each with its code", async () => {
    const [source, destination] = [await redis(), await redis()];
    const nowhere = { url: "redis://127.0.0.1:1" };
    const to = { url: destination.url };
    expect(await failures(bodyOf(nowhere, to))).toEqual([expect.stringMatching(/^SRC-001 .*ECONNREFUSED/)]);
    const { state, reason } = await statusWhere("it is blocked", (status) => status.state === "blocked");
    expect([state, reason]).toEqual(["blocked", expect.stringContaining("SRC-001 source")]);
    expect(await failures(bodyOf({ url: source.url }, nowhere))).toEqual([expect.stringMatching(/^DST-001 /)]);
    const itself = { url: source.url.replace("127.0.0.1", "localhost") };
    expect((await failures(bodyOf({ url: source.url }, itself))).join()).toContain("PIP-007 ");
    const replica = await startReplica(source);
    expect((await failures(bodyOf({ url: replica.url }, to))).join()).toContain("PIP-006 ");
    await destination.client(3).mset("a", "1", "b", "2");
    expect((await failures(bodyOf({ url: source.url }, to))).join()).toMatch(/DST-009 .*database 3/);
    await runs(bodyOf({ url: source.url }, { ...to, existing: "overwrite" }));
    expect(await refusal(bodyOf({ url: replica.url }, to))).toMatchObject({ status: 409, code: "PIP-003" });
    expect(await refusal({ ...bodyOf({ url: source.url }, to), retryWindow: "1m" })).toMatchObject({
      status: 409,
      code: "PIP-003",
    });
  });

  test("wrong credentials, without telling them", async () => {
    const [source, destination] = [await redis(), await redis()];
    const { place, shard } = await work(source);
    await source.client().config("SET", "requirepass", "open-sesame");
    const wrong = await failures(bodyOf({ url: source.url, password: "default:not-the-secret" }, { url: destination.url }));
    expect(wrong).toEqual([expect.stringMatching(/^SRC-002 .*WRONGPASS/)]);
    const none = await failures(bodyOf({ url: source.url }, { url: destination.url }));
    expect(none).toEqual([expect.stringMatching(/^SRC-002 .*NOAUTH/)]);

    await runs(bodyOf({ url: source.url, password: "default:open-sesame" }, { url: destination.url }));
    const spec = (await bus.records.get(recordKey.spec("p"), specRecord))!.value;
    expect(JSON.stringify(spec)).not.toContain("open-sesame");
    expect(spec.pipeline.source.user).toBe("default");
    const { password } = spec.pipeline.source;
    expect(typeof password === "string" && openSecret(password, secretKey)).toBe("open-sesame");
    // What stood there before the pipeline was created is gone.
    await place();
    await shard({});
    await statusWhere("the source is sampled with the password", ({ shards }) => shards[0]?.sourceOffset === 0);
  });

  test("requests that can't be read, and pipelines that are not there", async () => {
    const bad = await api.inject({
      method: "POST",
      url: "/api/v1/pipelines",
      headers: { "content-type": "application/json" },
      payload: "{",
    });
    expect([bad.statusCode, apiError.parse(bad.json()).error.code]).toEqual([400, "API-001"]);
    const text = await api.inject({
      method: "POST",
      url: "/api/v1/pipelines",
      headers: { "content-type": "text/plain" },
      payload: "x",
    });
    expect([text.statusCode, apiError.parse(text.json()).error.code]).toEqual([415, "API-001"]);
    expect(await refusal({ name: "P" })).toMatchObject({ status: 422, code: "PIP-001" });
    for (const url of ["/api/v1/pipelines/none", "/api/v1/pipelines/%3E.*"]) {
      const answer = await api.inject(url);
      expect([answer.statusCode, apiError.parse(answer.json()).error.code]).toEqual([404, "PIP-002"]);
    }
    expect((await api.inject({ method: "POST", url: "/api/v1/pipelines/none/stop" })).statusCode).toBe(404);
    expect(apiError.parse((await api.inject("/other")).json()).error.code).toBe("API-001");
  });
});

test("a destination that this pipeline has written before is taken up again, in an epoch above all that it has seen", async () => {
  const [source, destination] = [await redis(), await redis()];
  await destination.client().set("key", "1");
  const mark = formatMark({ epoch: 41, copy: 1, phase: "live", shard: "s0", offset: 5, sequence: 6 });
  await destination.client().set(laneMarkKey(slotTag(0), "p", "main", "s0", 0), mark);
  await runs(bodyOf({ url: source.url }, { url: destination.url }));
  expect((await bus.records.get(recordKey.epoch("p"), epochRecord))?.value).toEqual({ epoch: 41 });
});
