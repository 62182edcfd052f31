import { Bus, Leases } from "@sluice/bus";
import { slotTag } from "@sluice/redis";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import { NatsServer, RedisCluster, RedisServer, waitUntil } from "@sluice/testkit";
import {
  epochRecord,
  formatMark,
  laneMarkKey,
  laneRecord,
  pipelineStatus,
  precheckRecord,
  recordKey,
  shardRecord,
  slotMarkKey,
  specRecord,
  topologyRecord,
  type LaneRecord,
  type PipelineStatus,
  type ShardRecord,
} from "@sluice/wire";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CoordinatorService } from "../coordinator-service.ts";
import { createApi } from "./api-server.ts";

const log = silentLog();
const clock = systemClock;
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
  await waitUntil("the coordinator is active", async () => (await api.inject("/readyz")).statusCode === 200);
});

const post = (source: { url: string }, destination: { url: string }, change: object = {}) =>
  api.inject({
    method: "POST",
    url: "/api/v1/pipelines",
    payload: { name: "p", source: { url: source.url }, destinations: [{ url: destination.url, ...change }] },
  });

/** The prechecks that a pipeline fails. It replaces the one before, which never ran. */
async function failures(...args: Parameters<typeof post>): Promise<{ code: string | null; found: string }[]> {
  const before = (await bus.records.get(recordKey.precheck("p"), precheckRecord))?.revision;
  expect((await post(...args)).statusCode).toBe(201);
  const { value } = await waitUntil("its prechecks have run", async () => {
    const found = await bus.records.get(recordKey.precheck("p"), precheckRecord);
    return found?.revision === before ? null : found;
  });
  return value.report.results.filter(({ level }) => level === "fail");
}

async function runs(...args: Parameters<typeof post>): Promise<void> {
  expect(await failures(...args)).toEqual([]);
  await waitUntil(
    "it shall run",
    async () => (await bus.records.get(recordKey.spec("p"), specRecord))?.value.desired === "running",
  );
}

const failing = (code: string, found = "") =>
  expect.arrayContaining([expect.objectContaining({ code, found: expect.stringContaining(found) as string })]) as unknown[];

async function start<T extends AsyncDisposable>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  stops.push(async () => server[Symbol.asyncDispose]());
  return server;
}

const epoch = async (): Promise<number | undefined> => (await bus.records.get(recordKey.epoch("p"), epochRecord))?.value.epoch;
const markOf = (of: number): string => formatMark({ epoch: of, copy: 1, phase: "live", shard: "s0", offset: 5, sequence: 6 });

describe("what is asked of clusters", () => {
  test("a destination is refused for keys on any node, other databases of the source, and commands that are not allowed", async () => {
    const [source, cluster] = [await start(RedisServer.start()), await start(RedisCluster.start())];
    const owner = await cluster.primaryOf(12_182); // foo
    await owner.client().set("foo", "1");
    expect(await failures(source, cluster)).toEqual(failing("DST-009", `127.0.0.1:${owner.port}`));
    await owner.client().del("foo");
    await source.client(3).set("foo", "1");
    expect(await failures(source, cluster)).toEqual(failing("PIP-005"));
    await source.client().flushall();
    await owner.client().call("ACL", "SETUSER", "default", "-evalsha");
    expect(await failures(source, cluster)).not.toEqual([]);
    await owner.client().call("ACL", "SETUSER", "default", "+evalsha");
    await runs(source, cluster);
    expect(await bus.stream("p").size()).not.toBeNull();
  });

  test("a cluster that is not whole is refused on either side, and so is one that feeds itself; a replica may be named", async () => {
    const [server, cluster] = [await start(RedisServer.start()), await start(RedisCluster.start({ replicas: 1 }))];
    // No replica takes the place of a primary that is paused before the prechecks have asked it.
    for (const node of cluster.nodes) await node.client().config("SET", "cluster-node-timeout", "600000");
    const replica = cluster.nodes[4]!;
    expect(await failures(cluster, { url: cluster.urls[2]! })).toEqual(failing("PIP-007"));
    const lonely = await start(RedisServer.start({ config: { "cluster-enabled": "yes" } }));
    expect(await failures(lonely, server)).toEqual(failing("SRC-008"));
    expect(await failures(server, lonely)).toEqual(failing("DST-011"));
    const [first] = await cluster.primaries();
    first!.pause();
    const failed = await failures({ url: replica.url }, server);
    first!.resume();
    expect(failed).not.toEqual([]);
    await cluster.settled();
    await runs({ url: replica.url }, server);
  });

  test("the next epoch is above every mark in any slot of a cluster", async () => {
    const [source, cluster] = [await start(RedisServer.start()), await start(RedisCluster.start())];
    for (const [slot, seen] of [
      [0, 3],
      [9_000, 41],
      [16_383, 40],
    ] as const) {
      await (await cluster.primaryOf(slot)).client().set(slotMarkKey(slotTag(slot), "p", "main"), markOf(seen));
    }
    await (await cluster.primaryOf(12_182)).client().set("foo", "1");
    await runs(source, cluster);
    expect(await epoch()).toBe(41);
  });

  test("the next epoch is above the mark of any lane of any shard in a standalone destination", async () => {
    const [source, destination] = [await start(RedisServer.start()), await start(RedisServer.start())];
    await destination.client().set(laneMarkKey(slotTag(0), "p", "main", "s4", 15), markOf(17));
    await destination.client().set(laneMarkKey(slotTag(0), "p", "main", "s0", 0), markOf(2));
    await runs(source, destination);
    expect(await epoch()).toBe(17);
  });
});

test("many shards and lanes: each lane against its own shard's source, wherever that is served now", async () => {
  const [cluster, destination] = [await start(RedisCluster.start({ replicas: 1 })), await start(RedisServer.start())];
  await runs(cluster, destination);
  const primaries = await cluster.primaries();
  const shards = await Promise.all(
    primaries.map(async (primary, index) => {
      const { ranges } = (await cluster.view()).find(({ port }) => port === primary.port)!;
      return { id: `s${index}`, host: "127.0.0.1", port: primary.port, slots: `${ranges[0]![0]}-${ranges[0]![1]}`, floor: 0 };
    }),
  );
  const events = [{ at: 7, text: "something moved" }];
  const topology = { mode: "cluster" as const, lanes: 3, shards, events };
  await bus.records.put(recordKey.topology("p"), topologyRecord, topology);
  const signs = { retry: null, halt: null, at: 1, bytes: 0, copy: 1, epoch: 1 };
  const copied = { keys: 10, expectedKeys: 10, bytes: 0, expectedBytes: 0 };
  const offsets: number[] = [];
  for (const [index, { id }] of shards.entries()) {
    const info = await primaries[index]!.client().info("replication");
    const offset = Number(/master_repl_offset:(\d+)/.exec(info)?.[1]);
    offsets.push(offset);
    const replid = /master_replid:(\w+)/.exec(info)?.[1] ?? "";
    const link = { term: 1, instance: "i0", phase: "streaming" as const, replid, storedOffset: offset, db: 0 };
    const shard: ShardRecord = { ...signs, ...link, copied, commands: 0 };
    await bus.records.put(recordKey.shard("p", id), shardRecord, shard);
  }
  const putLanes = async (ahead: number): Promise<void> => {
    for (const { group, shard, lane } of (await status()).lanes) {
      const figures = { keys: 0, units: 0, transactions: 0, stale: 0, sequence: 1, instance: "w0", phase: "live" as const };
      const record: LaneRecord = { ...signs, ...figures, offset: offsets[Number(shard.slice(1))]! + ahead };
      await bus.records.put(recordKey.lane("p", `${group}.${shard}.${lane}`), laneRecord, record);
    }
  };
  const status = async (): Promise<PipelineStatus> => pipelineStatus.parse((await api.inject("/api/v1/pipelines/p")).json());
  const statusWhere = (what: string, holds: (now: PipelineStatus) => boolean) => {
    let last: PipelineStatus | null = null;
    const look = async () => (holds((last = await status())) ? last : null);
    return waitUntil(what, look, { details: () => JSON.stringify(last) });
  };
  await statusWhere("the topology is known", ({ lanes }) => lanes.length > 0);
  await putLanes(100_000);
  // The checkpoint is written once a second, the state more often.
  const hasCheckpoint = ({ checkpoint, lanes }: PipelineStatus): boolean =>
    Object.keys(checkpoint?.lanes ?? {}).length === lanes.length;
  const drained = await statusWhere(
    "it is drained",
    (now) => now.drained && now.state === "synchronizing" && hasCheckpoint(now),
  );
  expect(drained.events).toEqual(expect.arrayContaining([expect.objectContaining(events[0]!)]));
  expect(drained.shards.map(({ id }) => id)).toEqual(["s0", "s1", "s2"]);
  // 3 lanes cut at 5462 and 10923, shards at other slots: one shard has two lanes where they do not meet.
  expect(new Set(drained.lanes.map(({ shard }) => shard))).toEqual(new Set(["s0", "s1", "s2"]));
  expect(Object.keys(drained.checkpoint?.lanes ?? {})).toHaveLength(drained.lanes.length);

  await (await cluster.primaryOf(12_182)).client().set("foo", "x".repeat(200_000));
  const behind = await statusWhere("only the lanes of the written shard lag", ({ lanes }) =>
    lanes.some(({ lagBytes }) => (lagBytes ?? 0) > 50_000),
  );
  for (const { shard, lagBytes } of behind.lanes) expect((lagBytes ?? 0) > 50_000).toBe(shard === "s2");

  // The topology says that the shard is read from its replica: its primary is sampled all the same.
  const [replica] = await cluster.replicas(primaries[2]!);
  const before = behind.shards[2]!.sourceOffset!;
  const moved = shards.map((shard) => (shard.id === "s2" ? { ...shard, port: replica!.port } : shard));
  await bus.records.put(recordKey.topology("p"), topologyRecord, { ...topology, shards: moved });
  await (await cluster.primaryOf(12_182)).client().set("foo", "y".repeat(1_000));
  await statusWhere("the source is sampled on", (now) => (now.shards[2]!.sourceOffset ?? 0) >= before + 1_000);

  // A shard that goes takes its places with it; one whose slots changed is to be copied.
  const two = [{ ...shards[0]!, slots: "0-10922", floor: 1 }, shards[2]!];
  await bus.records.put(recordKey.topology("p"), topologyRecord, { ...topology, shards: two });
  const reshaped = await statusWhere("it copies", (now) => now.state === "copying");
  expect(reshaped.shards.map(({ id }) => id)).toEqual(["s0", "s2"]);
  await statusWhere("the checkpoint forgets", ({ checkpoint }) => checkpoint?.shards["s1"] === undefined);
});
