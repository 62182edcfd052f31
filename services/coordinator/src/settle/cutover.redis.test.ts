import { ManualClock, silentLog } from "@sluice/runtime";
import { RedisServer, waitUntil } from "@sluice/testkit";
import {
  specRecord,
  topologyRecord,
  type CutoverRecord,
  type LaneRecord,
  type ShardRecord,
  type SpecRecord,
} from "@sluice/wire";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { KnownPipeline } from "../lifecycle/pipeline-book.ts";
import { Cutover } from "./cutover.ts";

const clock = new ManualClock();
const draining: CutoverRecord = { phase: "draining", isForced: false, reason: "", since: 1, drainedAt: {}, groups: {} };

let source: RedisServer;
let replica: RedisServer;
/** Who serves the shard. */
let serving: RedisServer;
let known: KnownPipeline;
let cutover: Cutover;
beforeEach(async () => {
  // Without pings its offset stands still.
  source = await RedisServer.start({ config: { "repl-ping-replica-period": "3600" } });
  replica = await RedisServer.start();
  await replica.client().replicaof("127.0.0.1", source.port);
  await waitUntil("the replica follows", async () => /master_link_status:up/.test(await replica.client().info("replication")));
  await source.client().set("k", "v");
  known = pipelineOf(source);
  readTo("", 0);
  serveAt(source);
  const compareAndSet = async (_key: string, _schema: unknown, _value: unknown, revision: number) =>
    Promise.resolve(revision + 1);
  const deps = { records: { get: async () => Promise.resolve(null), compareAndSet } as never, secretKey: null };
  cutover = new Cutover(known, { ...deps, clock, log: silentLog() });
});
afterEach(async () => {
  await cutover.stop();
  await replica[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
});

const stored = <T>(value: T) => ({ value, revision: 1 });

function pipelineOf({ url }: RedisServer): KnownPipeline {
  const pipeline = { name: "p", source: { url }, destinations: [{ url: "redis://127.0.0.1:1" }] };
  return {
    name: "p",
    spec: stored(specRecord.parse({ pipeline, desired: "running", createdAt: 1 })),
    state: null,
    topology: null,
    assignment: null,
    checkpoint: null,
    cutover: stored(draining),
    precheck: null,
    windows: null,
    events: null,
    memory: null,
    destinations: new Map(),
    watches: new Map(),
    shards: new Map(),
    lanes: new Map(),
  };
}

function serveAt(server: RedisServer): void {
  serving = server;
  const shards = [{ id: "s0", host: "127.0.0.1", port: server.port, slots: "0-16383", floor: 0 }];
  known.topology = stored(topologyRecord.parse({ mode: "standalone", lanes: 1, shards, events: [] }));
}

async function info(field: string): Promise<string> {
  return new RegExp(`^${field}:(\\S+)`, "m").exec(await serving.client().info("replication"))?.[1] ?? "";
}

/** The pipeline has read and applied all that the source has now. */
async function catchUp(): Promise<void> {
  readTo(await info("master_replid"), Number(await info("master_repl_offset")));
}

function readTo(replid: string, offset: number): void {
  known.shards.set("s0", stored({ epoch: 1, phase: "streaming", replid, storedOffset: offset } as ShardRecord));
  known.lanes.set("main.s0.0", { ...stored({ epoch: 1, phase: "live", offset } as LaneRecord), heardAtMs: 1 });
}

const view = (): CutoverRecord => known.cutover!.value;

async function step(): Promise<CutoverRecord> {
  await cutover.step({ spec: known.spec?.value as SpecRecord, trouble: null, stop: null });
  return view();
}

/** Looks every 100 ms of the clock until the record is as `holds` says. */
async function lookUntil(what: string, holds: (record: CutoverRecord) => boolean): Promise<void> {
  await waitUntil(what, async () => {
    await clock.advance(100);
    return holds(await step());
  });
}

// Mutation: cutover.ts, `stop()` leaves `#asking` as it is.
test("a life that was broken off asks the source anew: what it knew before is no proof that clients are quiet", async () => {
  await lookUntil("clients are quiet", ({ reason }) => reason.includes("history"));
  await cutover.stop();
  await catchUp();
  await source.client().set("k", "a write that nobody has applied");
  await clock.advance(10_000);
  expect((await step()).reason).toBe("the source can't be asked whether its clients still write: it has not been asked yet");
  await lookUntil("it waits for the clients", ({ reason }) => reason === "waits until the clients of the source stop writing");
  await lookUntil("it waits for the lane", ({ reason }) => reason.endsWith("is applied"));
  await catchUp();
  await lookUntil("it has drained", ({ phase }) => phase === "stopping");
  expect(view().drainedAt["s0"]).toMatchObject({ offset: Number(await info("master_repl_offset")) });
});

// Mutation: next-cutover.ts without `elsewhere`: what was written in the new history is given up.
test("a source that failed over is drained when its new history is read, however far the lanes were in the old one", async () => {
  await lookUntil("clients are quiet", ({ reason }) => reason.includes("history"));
  const former = await info("master_replid");
  await replica.client().replicaof("NO", "ONE");
  await replica.client().set("k", "in the new history");
  serveAt(replica);
  await lookUntil("the new primary is asked", ({ reason }) => reason.endsWith("stop writing"));
  // What ingest, which is dead, and the lanes wrote last.
  readTo(former, 1_000_000);
  const waits = "waits until shard s0 is read from the history that the source is in";
  await lookUntil("clients are quiet again", ({ reason, phase }) => reason === waits || phase !== "draining");
  expect(view()).toMatchObject({ phase: "draining", reason: waits });
  await catchUp();
  await lookUntil("it has drained", ({ phase }) => phase === "stopping");
});
