import { keySlot, pendingIds, readDumpPayload, slotTag, type DumpPayload } from "@sluice/redis";
import { silentLog, systemClock } from "@sluice/runtime";
import { RedisCluster, RedisServer } from "@sluice/testkit";
import { attemptsKey, isOwnKey, SlotSet, SnapshotRows, type DestinationRecord, type Position } from "@sluice/wire";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ReplyTamperer } from "../apply/reply-tamperer.sample.ts";
import type { LaneDestination, SnapshotValue } from "../lane-destination.ts";
import { openLane } from "../lane-opening.ts";
import type { LaneWriterOptions } from "../lane-writer.ts";
import type { KeyRepair } from "../repair/key-repair.ts";

type Client = ReturnType<RedisServer["client"]>;

const SLOTS = SlotSet.parse("0-19");
const [TAG, OTHER] = [slotTag(0), slotTag(13)];
const SNAP: Position = { epoch: 1, copy: 1, phase: "snap", shard: "s0", offset: 0, sequence: 0 };
const name = (key: string): string => `${key}{${TAG}}`;

let source: RedisServer;
let server: RedisServer;
let bare: RedisServer;
let cluster: RedisCluster;
let tamperer: ReplyTamperer;
const lanes: LaneDestination[] = [];
let attempt = 0;
let left: number[] = [];
let warnings: string[] = [];

beforeAll(async () => {
  [source, server, bare, cluster] = await Promise.all([
    RedisServer.start(),
    RedisServer.start(),
    RedisServer.start({ config: { "rename-command": 'RESTORE ""' } }),
    RedisCluster.start({ primaries: 1 }),
  ]);
  tamperer = await ReplyTamperer.start(server.port);
});

afterAll(async () => {
  await tamperer[Symbol.asyncDispose]();
  await Promise.all([source, server, bare, cluster].map(async (each) => each[Symbol.asyncDispose]()));
});

beforeEach(async () => {
  for (const lane of lanes.splice(0)) lane.close();
  [left, warnings] = [[], []];
  tamperer.tamper = () => null;
  const nodes = [source, server, bare, ...cluster.nodes];
  await Promise.all(nodes.map(async (node) => node.client().flushall()));
  await Promise.all(nodes.map(async (node) => node.client().config("RESETSTAT")));
});

type Kind = "standalone" | "cluster";
const kinds: readonly Kind[] = ["standalone", "cluster"];
const nodeOf = (kind: Kind): RedisServer => (kind === "cluster" ? (cluster.nodes[0] as RedisServer) : server);

/** A lane that has claimed its copy, as a writer opens it. */
async function open(kind: Kind, options: { port?: number; unsupported?: "halt" | "skip" } = {}): Promise<LaneDestination> {
  const { port = nodeOf(kind).port, unsupported = "halt" } = options;
  const endpoint = { host: "127.0.0.1", port };
  const destination: DestinationRecord = { mode: kind, nodes: [{ ...endpoint, slots: "0-16383" }], at: 0 };
  const log = Object.assign(silentLog(), { warn: (_: unknown, text: string) => warnings.push(text) });
  const names = { pipeline: "p", group: "main", shard: "s0", lane: 0, instance: `w${attempt++}` };
  const laneOptions = { ...names, endpoint, destination, shift: (ms: number) => ms, clock: systemClock, log, unsupported };
  const countLeftOut = (more: number): void => void left.push(more);
  const repair = { refusesUnread: () => null } as unknown as KeyRepair;
  const opening = {
    label: "main.s0.0",
    slots: SLOTS,
    repair,
    keeping: null,
    countLeftOut,
    signal: new AbortController().signal,
  };
  const lane = await openLane(laneOptions as unknown as LaneWriterOptions, opening);
  lanes.push(lane);
  await lane.claim(SNAP, true);
  return lane;
}

function valueOf(key: string, { type, value }: Pick<DumpPayload, "type" | "value">, expireAtMs = -1): SnapshotValue {
  const rows = new SnapshotRows(1);
  const sizes = { length: key.length + value.length, keyLength: key.length };
  rows.add({ ...sizes, expireAtMs, access: 0, slot: keySlot(Buffer.from(key)), db: 0, type, accessKind: 0 });
  return { rows, row: 0, key: Buffer.from(key), value: [value] };
}

async function dumped(key: string): Promise<DumpPayload> {
  return readDumpPayload(await source.client().dumpBuffer(key));
}

/** Keys of every type at the source. `size`: elements of each. */
async function fill(size: number): Promise<string[]> {
  const client = source.client();
  const numbers = Array.from({ length: size }, (_, index) => `element ${index}`);
  await client.set(name("string"), numbers.join().repeat(20));
  await client.rpush(name("list"), ...numbers);
  await client.sadd(name("set"), ...numbers);
  await client.zadd(name("zset"), ...numbers.flatMap((member, index) => [String(index / 3), member]));
  await client.hset(name("hash"), ...numbers.flatMap((field, index) => [field, `value ${index}`]));
  const pipeline = client.pipeline();
  for (const [index, value] of numbers.entries()) pipeline.xadd(name("stream"), `${index + 1}-1`, "field", value);
  pipeline.xgroup("CREATE", name("stream"), "g", "0").xreadgroup("GROUP", "g", "c", "COUNT", 5, "STREAMS", name("stream"), ">");
  // Pending, and no entry any more: it must be known before the entries are written.
  pipeline.xdel(name("stream"), "2-1");
  await pipeline.exec();
  return ["string", "list", "set", "zset", "hash", "stream"].map(name);
}

async function contentOf(client: Client, key: string): Promise<unknown> {
  const sorted = (list: string[]): string[] => list.toSorted();
  switch (await client.type(key)) {
    case "string":
      return client.get(key);
    case "list":
      return client.lrange(key, 0, -1);
    case "set":
      return sorted(await client.smembers(key));
    case "zset":
      return client.zrange(key, 0, "-1", "WITHSCORES");
    case "hash":
      return sorted(Object.entries(await client.hgetall(key)).map(([field, value]) => `${field}=${value}`));
    case "stream":
      return [
        await client.xrange(key, "-", "+"),
        await client.xpending(key, "g", "-", "+", 10).then((all) => all.map((one) => (one as unknown[])[0])),
      ];
    default:
      return null;
  }
}

const same = async (client: Client, keys: readonly string[]): Promise<void> => {
  for (const key of keys) expect(await contentOf(client, key), key).toEqual(await contentOf(source.client(), key));
};

/** Keys of Sluice's own beside its marks. */
const leftovers = async (client: Client): Promise<string[]> => (await client.keys("*}:tmp:*")).toSorted();
const calls = async (client: Client, command: string): Promise<number> =>
  Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await client.info("commandstats"))?.[1] ?? 0);

describe.each(kinds)("a value that is there as a whole, %s", (kind) => {
  const apply = async (lane: LaneDestination, keys: readonly string[], expireAtMs = -1): Promise<void> => {
    const values = await Promise.all(keys.map(async (key) => valueOf(key, await dumped(key), expireAtMs)));
    await lane.applyValues(values, { ...SNAP, offset: values.length });
  };

  test("is restored, strings are set", async () => {
    const keys = await fill(20);
    const client = nodeOf(kind).client();
    await apply(await open(kind), keys);
    await same(client, keys);
    expect([await calls(client, "restore"), await calls(client, "rpush")]).toEqual([5, 0]);
  });

  // Mutation: value-forms.ts, `learns` gives true without `#learn`: it is tried without end; value-commands.ts, `built` without RENAME.
  test("is built from its elements where its RESTORE fails behind the mark, and the others are restored", async () => {
    const keys = await fill(20);
    const client = nodeOf(kind).client();
    // A ziplist with a field twice, which no server loads: a 1, a 2.
    const pair = (previous: number, text: string): number[] => [previous, 1, text.charCodeAt(0)];
    const entries = [...pair(0, "a"), ...pair(3, "1"), ...pair(3, "a"), ...pair(3, "2")];
    const ziplist = Buffer.from([23, 0, 0, 0, 19, 0, 0, 0, 4, 0, ...entries, 255]);
    const twice = valueOf(name("twice"), { type: 13, value: Buffer.concat([Buffer.of(23), ziplist]) }, 4_000_000_000_000);
    const values = await Promise.all(keys.map(async (key) => valueOf(key, await dumped(key))));
    const lane = await open(kind);
    await lane.applyValues([...values, twice], { ...SNAP, offset: 7 });
    await same(client, keys);
    expect([await client.hgetall(name("twice")), await client.pexpiretime(name("twice"))]).toEqual([
      { a: "2" },
      4_000_000_000_000,
    ]);
    expect(await leftovers(client)).toEqual([]);
    // Mutation: value-commands.ts, `built` with the expiry in front of the RENAME.
    const over = valueOf(name("twice"), { type: 13, value: twice.value[0] as Buffer }, 1_000);
    await lane.applyValues([over], { ...SNAP, offset: 7 });
    expect(await client.exists(name("twice"))).toBe(0);
    // The refused value is remembered for its step alone.
    await lane.applyValues([twice], { ...SNAP, offset: 8 });
    await lane.goLive({ ...SNAP, phase: "live", offset: 100 });
    expect(lane.position).toMatchObject({ phase: "live", offset: 100 });
  });

  // Mutation: left-out.ts, `lacks` without the throw; value-commands.ts, `whole` gives nothing where nothing can be held.
  test("loud: the value of a module that is not there halts with its key, or is left out and counted", async () => {
    const client = nodeOf(kind).client();
    // Type 7, a module id of its own, one unsigned field, the end.
    const module = valueOf(name("module"), { type: 7, value: Buffer.from([0x81, 1, 2, 3, 4, 5, 6, 7, 8, 2, 1, 0]) });
    const halting = await open(kind);
    await expect(halting.applyValues([module], { ...SNAP, offset: 1 })).rejects.toMatchObject({
      code: "DST-006",
      message: expect.stringContaining(`key ${name("module")} of database 0`) as string,
    });
    halting.close();
    await client.set(name("module"), "of before");
    const skipping = await open(kind, { unsupported: "skip" });
    await skipping.applyValues([module], { ...SNAP, offset: 1 });
    expect([await client.exists(name("module")), left]).toEqual([0, [1]]);
    expect(warnings.at(-1)).toContain("which is left out");
  });
});

// Mutation: standalone-destination.ts, `askForRestore` always null: the first step is refused as a whole (the second case still learns).
test.each([
  ["renamed away", () => ({ port: bare.port })],
  [
    "not permitted",
    () => {
      tamperer.tamper = ({ args }) =>
        args[0] === "RESTORE" && args.length > 1 ? "-NOPERM this user has no permissions to run the 'restore' command" : null;
      return { port: tamperer.port };
    },
  ],
])("a server whose RESTORE is %s gets elements of everything, which is said once", async (_, where) => {
  const keys = await fill(20);
  const { port } = where();
  const lane = await open("standalone", { port });
  const values = await Promise.all(keys.map(async (key) => valueOf(key, await dumped(key))));
  await lane.applyValues(values, { ...SNAP, offset: 6 });
  await lane.applyValues(values, { ...SNAP, offset: 12 });
  await same((port === bare.port ? bare : server).client(), keys);
  expect(warnings.filter((text) => text.includes("RESTORE"))).toHaveLength(1);
});

describe.each(kinds)("a value that comes in pieces, %s", (kind) => {
  const push = async (lane: LaneDestination, key: string, share = 1, expireAtMs = -1) => {
    const { type, value } = await dumped(key);
    const pending = key.startsWith("stream") ? pendingIds(type, [value]) : null;
    const { rows, row, key: bytes } = valueOf(key, { type, value }, expireAtMs);
    const build = await lane.build({ rows, row, key: bytes, pending });
    if (build === null) throw new Error("the lane does not take it");
    const end = Math.floor(value.length * share);
    for (let from = 0; from < end; from += 1_000) await build.push(value.subarray(from, Math.min(end, from + 1_000)));
    const rest = async (): Promise<void> => build.push(value.subarray(end));
    return { build, rest };
  };

  // Mutation: standalone-build.ts / cluster-values.ts, PERSIST left out: what is built expires after a day.
  test("is written as they come, and shows when all have", async () => {
    const keys = await fill(3_000);
    const client = nodeOf(kind).client();
    const lane = await open(kind);
    for (const [index, key] of keys.entries()) {
      await client.set(key, "of before");
      const expireAtMs = index % 2 === 0 ? -1 : 4_000_000_000_000;
      const { build } = await push(lane, key, 1, expireAtMs);
      expect(await client.get(key)).toBe("of before");
      await build.finish({ ...SNAP, offset: index + 1 });
      expect(await client.pexpiretime(key), key).toBe(expireAtMs);
    }
    await same(client, keys);
    expect(await leftovers(client)).toEqual([]);
    expect(await calls(client, "restore")).toBe(0);
    await lane.goLive({ ...SNAP, phase: "live", offset: 100 });
  });

  // Mutation: standalone-build.ts / cluster-values.ts, the expiry in front of the RENAME: no such key, and the lane halts for good.
  test("whose time was over before it was all there leaves nothing, and the lane goes on", async () => {
    const keys = await fill(3_000);
    const client = nodeOf(kind).client();
    const lane = await open(kind);
    for (const [index, key] of keys.entries()) {
      await client.set(key, "of before");
      await (await push(lane, key, 1, 1_000)).build.finish({ ...SNAP, offset: index + 1 });
      expect(await client.exists(key), key).toBe(0);
    }
    expect(await leftovers(client)).toEqual([]);
    await lane.goLive({ ...SNAP, phase: "live", offset: 100 });
  });

  // Mutation: lane-opening.ts / cluster-lane.ts, leftovers are not removed.
  test("a writer that ends between its chunks leaves the key as it was; the next one removes what is left and begins anew", async () => {
    const keys = await fill(3_000);
    const client = nodeOf(kind).client();
    const first = await open(kind);
    for (const key of keys) await push(first, key, 0.5);
    expect((await leftovers(client)).length).toBeGreaterThan(5);
    for (const key of keys) expect(await client.exists(key)).toBe(0);
    first.close();
    const second = await open(kind);
    expect(await leftovers(client)).toEqual([]);
    for (const [index, key] of keys.entries()) await (await push(second, key)).build.finish({ ...SNAP, offset: index + 1 });
    await same(client, keys);
    expect(await leftovers(client)).toEqual([]);
  });

  // Mutation: element-build.ts, `#judge` is empty: half a value takes its key's place; watched-transaction.ts, `besides` are not sent.
  test("one-writer-per-lane: a former writer whose half-built value was removed puts nothing in its key's place", async () => {
    const keys = await fill(3_000);
    const client = nodeOf(kind).client();
    for (const key of keys) {
      const former = await open(kind);
      const half = await push(former, key, 0.5);
      const next = await open(kind);
      await half.rest();
      await expect(half.build.finish({ ...SNAP, offset: 1 }), key).rejects.toMatchObject({ code: "DST-003" });
      expect(await client.exists(key)).toBe(0);
      // Mutation: element-build.ts, PEXPIRE with the first request only: what is built on behind the removal stays for ever.
      for (const temporary of await leftovers(client)) expect(await client.pttl(temporary), key).toBeGreaterThan(0);
      for (const lane of [former, next]) lane.close();
    }
  });

  test("names of attempts stand where no copy looks", () => {
    expect(isOwnKey(Buffer.from(attemptsKey(OTHER, "p", "main", "s0", 0)))).toBe(true);
  });
});
