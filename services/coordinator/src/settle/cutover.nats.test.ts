import { Bus, Leases } from "@sluice/bus";
import { slotTag } from "@sluice/redis";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import { NatsServer, RedisCluster, RedisServer, waitUntil } from "@sluice/testkit";
import {
  apiError,
  cutoverRecord,
  expiryGraceMs,
  expiryWithGrace,
  formatMark,
  laneMarkKey,
  pipelineSchema,
  pipelineStatus,
  recordKey,
  slotMarkKey,
  specRecord,
  type PipelineStatus,
} from "@sluice/wire";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createApi } from "../api/api-server.ts";
import { CoordinatorService } from "../coordinator-service.ts";
import { settledNoteKey } from "./settled-note.ts";

const log = silentLog();
const clock = systemClock;
const FAR_MS = 4_000_000_000_000;
const MARK = formatMark({ epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 1, sequence: 1 });
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

let bus: Bus;
let api: FastifyInstance;
beforeEach(async () => {
  const server = await NatsServer.start();
  stops.push(async () => server[Symbol.asyncDispose]());
  bus = await Bus.connect({ url: server.url, name: "test", log });
  stops.push(() => bus.close());
  const stopping = new AbortController();
  const leases = new Leases(bus.records, "c0", clock, log);
  const deps = {
    records: bus.records,
    streamOf: (name: string) => bus.stream(name),
    secretKey: null,
    clock,
    log,
    busFacts: (name: string) => bus.facts(name),
  };
  const coordinator = new CoordinatorService({ ...deps, leases });
  const ended = supervise(coordinator, stopping.signal, clock, log);
  api = createApi({ ...deps, active: () => coordinator.active });
  stops.push(async () => {
    stopping.abort();
    await ended;
    leases.close();
    await api.close();
  });
  const isActive = async () => (await api.inject("/readyz")).statusCode === 200;
  await waitUntil("the coordinator is active", isActive);
});

/** A pipeline from a source that nobody answers for. */
const bodyOf = (destination: { url: string }, change: object = {}) => ({
  name: "p",
  source: { url: "redis://127.0.0.1:1" },
  destinations: [{ url: destination.url, ...change }],
});
const graceMs = expiryGraceMs(pipelineSchema.parse(bodyOf({ url: "redis://a:1" })));

async function post(url: string, payload: object = {}): Promise<{ status: number; code: string }> {
  const answer = await api.inject({ method: "POST", url, payload });
  const refusal = apiError.safeParse(answer.json());
  return { status: answer.statusCode, code: refusal.success ? refusal.data.error.code : "" };
}

async function statusWhere(what: string, holds: (status: PipelineStatus) => boolean): Promise<PipelineStatus> {
  let last: unknown = null;
  return waitUntil(
    what,
    async () => {
      last = (await api.inject("/api/v1/pipelines/p")).json();
      const status = pipelineStatus.parse(last);
      return holds(status) ? status : null;
    },
    { details: () => JSON.stringify(last) },
  );
}

async function statusGone(): Promise<void> {
  await waitUntil("its records are gone", async () => (await api.inject("/api/v1/pipelines/p")).statusCode === 404);
}

async function destinationWith(mark: string | null): Promise<RedisServer> {
  const server = await RedisServer.start();
  stops.push(async () => server[Symbol.asyncDispose]());
  await server.client().set("k", "v", "PXAT", expiryWithGrace(FAR_MS, graceMs));
  if (mark !== null) await server.client().set(laneMarkKey(slotTag(0), "p", "main", "s0", 0), mark);
  return server;
}

test("a destination whose pipeline nobody knows any more is settled by its file, once", async () => {
  const destination = await destinationWith(MARK);
  const body = bodyOf(destination);
  expect(await post("/api/v1/settle", body)).toEqual({ status: 202, code: "" });
  const done = await statusWhere("it is cut over", ({ state }) => state === "cut-over");
  expect(done.cutover).toMatchObject({ phase: "done", groups: { main: { isDone: true, looked: 3, settled: 1 } } });
  expect(await destination.client().pexpiretime("k")).toBe(FAR_MS);
  expect(await post("/api/v1/settle", body)).toEqual({ status: 409, code: "PIP-003" });
  expect(await post("/api/v1/pipelines", body)).toEqual({ status: 409, code: "PIP-009" });
  expect((await post("/api/v1/pipelines/p/stop")).status).toBe(202);
  expect((await statusWhere("it stays", () => true)).desired).toBe("cut-over");
});

/** As if NATS had lost all that it held. */
async function loseRecords(): Promise<void> {
  for (const key of [recordKey.spec("p"), recordKey.cutover("p"), recordKey.state("p")]) await bus.records.remove(key);
  await statusGone();
}

// Mutations: group-settling.ts without the note "done": what a client has set loses the grace. settled-note.ts, any epoch will do:
// what a later copy brought keeps the grace.
test("without records, too, what was settled stays as clients have set it, until a later copy has written there", async () => {
  const destination = await destinationWith(MARK);
  const body = bodyOf(destination);
  await post("/api/v1/settle", body);
  await statusWhere("it is cut over", ({ state }) => state === "cut-over");
  await destination.client().pexpireat("k", FAR_MS + 1);
  await loseRecords();
  await post("/api/v1/settle", body);
  const again = await statusWhere("it is cut over again", ({ state }) => state === "cut-over");
  expect(again.cutover?.groups["main"]?.looked).toBe(0);
  expect(await destination.client().pexpiretime("k")).toBe(FAR_MS + 1);

  await loseRecords();
  const later = formatMark({ epoch: 2, copy: 1, phase: "live", shard: "s0", offset: 1, sequence: 1 });
  await destination.client().set(laneMarkKey(slotTag(0), "p", "main", "s0", 1), later);
  await destination.client().pexpireat("k", expiryWithGrace(FAR_MS, graceMs));
  await post("/api/v1/settle", body);
  await statusWhere("what the copy brought is settled", ({ state }) => state === "cut-over");
  expect(await destination.client().pexpiretime("k")).toBe(FAR_MS);
});

// Mutations: group-settling.ts without `#requireGrace`; not taking over the slots of the note.
test("what was begun and whose records are lost goes on with the same grace and the same slots only", async () => {
  const cluster = await RedisCluster.start({ primaries: 2, layout: ["0-8191", "8192-16383"] });
  stops.push(async () => cluster[Symbol.asyncDispose]());
  const client = (await cluster.primaryOf(0)).client();
  await client.set(slotMarkKey(slotTag(0), "p", "main"), MARK);
  await client.set(`{${slotTag(0)}}k`, "v", "PXAT", expiryWithGrace(FAR_MS, graceMs));
  await client.set(`{${slotTag(0)}}settled`, "v", "PXAT", FAR_MS + 2);
  const layout = "0-8191 | 8192-16383";
  for (const [note, code] of [
    [`1|begun|1|${graceMs + 1}|${layout}`, "DST-015"],
    [`1|begun|1|${graceMs}|0-8000 | 8001-16383`, "DST-013"],
    ["2|begun", "DST-005"],
  ] as const) {
    await client.set(settledNoteKey("p", "main"), note);
    await post("/api/v1/settle", bodyOf(cluster));
    const failed = await statusWhere(code, ({ state }) => state === "failed");
    expect(failed.reason).toContain(code);
    expect(await client.pexpiretime(`{${slotTag(0)}}k`)).toBe(expiryWithGrace(FAR_MS, graceMs));
    await loseRecords();
  }
  await client.set(settledNoteKey("p", "main"), `1|begun|1|${graceMs}|${layout}`);
  await post("/api/v1/settle", bodyOf(cluster));
  await statusWhere("it is cut over", ({ state }) => state === "cut-over");
  expect(await client.pexpiretime(`{${slotTag(0)}}k`)).toBe(FAR_MS);
  expect(await client.pexpiretime(`{${slotTag(0)}}settled`)).toBe(FAR_MS + 2);
});

// Mutation: group-settling.ts whose `#epochOf` throws nothing: the expiries of a server that Sluice has never written to are changed.
test("a server that holds no mark of the pipeline is not touched; asked again, it goes on where there is one", async () => {
  const destination = await destinationWith(null);
  await post("/api/v1/settle", bodyOf(destination));
  const failed = await statusWhere("it fails", ({ state }) => state === "failed");
  expect(failed.reason).toContain("DST-005");
  expect(await destination.client().pexpiretime("k")).toBe(expiryWithGrace(FAR_MS, graceMs));
  await destination.client().set(laneMarkKey(slotTag(0), "p", "main", "s3", 7), MARK);
  expect((await post("/api/v1/pipelines/p/cutover")).status).toBe(202);
  await statusWhere("it is cut over", ({ state }) => state === "cut-over");
  expect(await destination.client().pexpiretime("k")).toBe(FAR_MS);
});

test("a destination that is away is waited for, and the state says so", async () => {
  const destination = await destinationWith(MARK);
  // Back without its mark it would be none of the pipeline's.
  await destination.client().save();
  await destination.kill();
  await post("/api/v1/settle", bodyOf(destination));
  const waiting = await statusWhere("it waits", ({ reason }) => reason.includes("waits for destination main"));
  expect(waiting.state).toBe("cutting-over");
  await destination.restart();
  await statusWhere("it is cut over", ({ state }) => state === "cut-over");
});

// Mutation: group-settling.ts, `isRemarking` false: what MIGRATE had made even keeps the grace.
test("in a cluster an expiry that a move has made even is settled, too; with `overwrite` it is left as it is", async () => {
  for (const [existing, expected] of [
    ["replace", FAR_MS + 2],
    ["overwrite", expiryWithGrace(FAR_MS, graceMs) + 1],
  ] as const) {
    const cluster = await RedisCluster.start();
    stops.push(async () => cluster[Symbol.asyncDispose]());
    const client = (await cluster.primaryOf(0)).client();
    await client.set(slotMarkKey(slotTag(0), "p", "main"), MARK);
    await client.set(`{${slotTag(0)}}moved`, "v", "PXAT", expiryWithGrace(FAR_MS, graceMs) + 1);
    await client.set(`{${slotTag(0)}}k`, "v", "PXAT", expiryWithGrace(FAR_MS, graceMs));
    await post("/api/v1/settle", bodyOf(cluster, { existing }));
    const done = await statusWhere("it is cut over", ({ state }) => state === "cut-over");
    expect(done.cutover?.groups["main"]?.isRemarked).toBe(existing === "replace");
    expect(await client.pexpiretime(`{${slotTag(0)}}moved`)).toBe(expected);
    expect(await client.pexpiretime(`{${slotTag(0)}}k`)).toBe(FAR_MS);
    await loseRecords();
  }
});

// Mutation: group-settling.ts without `#requireSlots`: what was settled and then moved loses the grace once more.
test("slots that moved while a cluster was being settled halt it; by force the rest is settled", async () => {
  const cluster = await RedisCluster.start();
  stops.push(async () => cluster[Symbol.asyncDispose]());
  const client = (await cluster.primaryOf(0)).client();
  await client.set(slotMarkKey(slotTag(0), "p", "main"), MARK);
  await client.set(`{${slotTag(0)}}k`, "v", "PXAT", expiryWithGrace(FAR_MS, graceMs));
  await client.set(`{${slotTag(0)}}settled`, "v", "PXAT", FAR_MS + 2);
  const group = { isRemarked: true, slots: "0-8000 | 8001-16383", isDone: false, looked: 0, expected: 0, settled: 0 };
  const groups = { main: { ...group, retry: null, halt: null } };
  const cutover = { phase: "settling" as const, isForced: false, reason: "", since: 1, drainedAt: {}, groups };
  await bus.records.put(recordKey.cutover("p"), cutoverRecord, cutover);
  const pipeline = { ...bodyOf({ url: cluster.url }), source: { url: "redis://127.0.0.1:1" } };
  await bus.records.put(recordKey.spec("p"), specRecord, { pipeline, desired: "cut-over", createdAt: 1 });
  const failed = await statusWhere("it fails", ({ state }) => state === "failed");
  expect(failed.reason).toContain("DST-013");
  expect(await client.pexpiretime(`{${slotTag(0)}}k`)).toBe(expiryWithGrace(FAR_MS, graceMs));
  await post("/api/v1/pipelines/p/cutover");
  await statusWhere(
    "it fails again",
    ({ cutover }) => (cutover?.since ?? 0) > 1 && (cutover?.groups["main"]?.halt ?? null) !== null,
  );
  await post("/api/v1/pipelines/p/cutover", { force: true });
  await statusWhere("it is cut over", ({ state }) => state === "cut-over");
  expect(await client.pexpiretime(`{${slotTag(0)}}k`)).toBe(FAR_MS);
  expect(await client.pexpiretime(`{${slotTag(0)}}settled`)).toBe(FAR_MS + 2);
});

test("a cut-over that waits is taken back by a stop; a stopped pipeline is cut over by force only", async () => {
  const [source, destination] = [await RedisServer.start(), await RedisServer.start()];
  for (const server of [source, destination]) stops.push(async () => server[Symbol.asyncDispose]());
  const body = { ...bodyOf(destination), source: { url: source.url } };
  expect((await post("/api/v1/pipelines", body)).status).toBe(201);
  await statusWhere("its prechecks have passed", ({ state }) => state === "ready");
  expect((await post("/api/v1/pipelines/p/cutover")).status).toBe(202);
  const waiting = await statusWhere("it waits", ({ state }) => state === "cutting-over");
  expect(waiting.reason).toContain("waiting for the router");
  expect((await post("/api/v1/pipelines/p/stop")).status).toBe(202);
  const stopped = await statusWhere("it is stopped", ({ state }) => state === "stopped");
  expect([stopped.desired, stopped.cutover?.phase]).toEqual(["stopped", "cancelled"]);
  expect(await post("/api/v1/pipelines/p/cutover")).toEqual({ status: 409, code: "PIP-010" });
  expect(await post("/api/v1/pipelines/p/cutover", { force: "yes" })).toEqual({ status: 400, code: "API-001" });
  expect(await post("/api/v1/pipelines/none/cutover")).toEqual({ status: 404, code: "PIP-002" });
});
