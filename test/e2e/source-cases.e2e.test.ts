import { readFileSync } from "node:fs";
import { setTimeout as pace } from "node:timers/promises";
import {
  compareServers,
  NatsServer,
  preload,
  rdbPath,
  RecordedPrimary,
  RedisCluster,
  RedisServer,
  SentinelServer,
  waitUntil,
} from "@sluice/testkit";
import { expiryWithGrace, type PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Run, Services, type StatusClient } from "./deployment.ts";
import { EVEN_LAYOUT } from "./pair.ts";

const NAME = "orders";
/** A primary that pings its replicas is ahead of the one that is promoted by that ping alone. */
const QUIET = { "repl-ping-replica-period": "3600" };
/** Longer than any machine makes a server wait that is not down. */
const PATIENT_MS = 600_000;

const isSynchronizing = ({ state }: PipelineStatus): boolean => state === "synchronizing";
const epochsOf = (status: PipelineStatus): number[] => status.shards.map(({ epoch }) => epoch);

/** A primary with one replica that is in step, a Sentinel that watches both, and an empty destination. */
class Watched implements AsyncDisposable {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly sentinel: SentinelServer;
  readonly destination: RedisServer;

  private constructor(primary: RedisServer, replica: RedisServer, sentinel: SentinelServer, destination: RedisServer) {
    this.primary = primary;
    this.replica = replica;
    this.sentinel = sentinel;
    this.destination = destination;
  }

  static async start(password?: string): Promise<Watched> {
    const [primary, destination] = await Promise.all([RedisServer.start({ config: QUIET }), RedisServer.start()]);
    const replica = await RedisServer.start({ replicaOf: primary, config: QUIET });
    await replica.waitForSync();
    const sentinel = await SentinelServer.start({ primary, ...(password === undefined ? {} : { password }) });
    await sentinel.waitForReplicas(1);
    return new Watched(primary, replica, sentinel, destination);
  }

  pipeline(sentinel: object = {}): object {
    return { name: NAME, source: { url: this.sentinel.url, ...sentinel }, destinations: [{ url: this.destination.url }] };
  }

  /** Keys that are easy to tell apart, counters and lists among them. */
  async write(server: RedisServer, prefix: string, count: number): Promise<void> {
    const client = server.client();
    for (let index = 0; index < count; index++) {
      await client.set(`${prefix}:${index}`, prefix);
      await client.incr("counter");
      await client.rpush("list", `${prefix}:${index}`);
    }
  }

  /** In what the destination differs from a server of the source. */
  async differencesFrom(server: RedisServer): Promise<readonly unknown[]> {
    return (await compareServers(server, this.destination)).differences;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.sentinel, this.replica, this.primary, this.destination]) await one[Symbol.asyncDispose]();
  }
}

/** All that this server has written is applied. */
async function drained(status: StatusClient, port: number): Promise<void> {
  await status.until(NAME, "read from there", ({ events }) => events.some(({ text }) => text.includes(`:${port} now`)));
  await status.drained(NAME);
}

// Mutations: the writer's snapshot-phase.ts, nothing swept: lost:* stays. And source-watch.ts, a source behind Sentinels done with like
// any other standalone one: nobody follows. (That PSYNC is not asked to continue is shown where a lane is behind, case 24b of ingest.)
test("case 24, 39: Sentinel promotes a replica that lacks writes which are applied already: they are gone in the end", async () => {
  await using watched = await Watched.start();
  const { primary, replica, sentinel, destination } = watched;
  const client = primary.client();
  await watched.write(primary, "kept", 100);
  await using run = await Run.start(watched.pipeline());
  await run.status.until(NAME, "synchronizing", isSynchronizing);
  await replica.waitForSync();
  // The replica loses its link and can't have it back; links that stand are not asked again for the password.
  await client.config("SET", "requirepass", "secret");
  await replica.client().call("CLIENT", "KILL", "TYPE", "master");
  for (let index = 0; index < 50; index++) {
    await client.set(`lost:${index}`, "lost");
    await client.incr("counter");
    await client.rpush("list", `lost:${index}`);
  }
  const there = destination.client();
  await waitUntil("the lost writes are applied", async () => (await there.get("counter")) === "150");
  await primary.kill();
  expect(await sentinel.waitForSuccessor(primary.port)).toBe(replica.port);
  await run.status.until(NAME, "copied anew", (status) => isSynchronizing(status) && epochsOf(status)[0] === 2);
  await watched.write(replica, "new", 10);
  await drained(run.status, replica.port);
  expect(await watched.differencesFrom(replica)).toEqual([]);
  expect([await there.exists("lost:0"), await there.get("counter"), await there.llen("list")]).toEqual([0, "110", 110]);
  // What poses as a replica was seen by Sentinel, if at all, as one that is down and has no port.
  const posing = (await sentinel.replicas()).filter((one) => one.get("port") === "0");
  for (const one of posing) expect(one.get("flags")).toContain("s_down");
});

// Mutation: next-topology.ts, the floor raised where the address changes: a second full copy.
test("case 25: Sentinel fails over and back, nothing is lost: followed twice without another copy, with the Sentinels' own password", async () => {
  await using watched = await Watched.start("open-sesame");
  const { primary, replica, sentinel } = watched;
  // Nobody is promoted because a busy machine let a primary wait: that one would live on, be greeted, and be ahead.
  await sentinel.countAsDownAfter(PATIENT_MS);
  await watched.write(primary, "first", 50);
  await using run = await Run.start(watched.pipeline({ sentinel: { password: "open-sesame" } }));
  const before = await run.status.until(NAME, "synchronizing", isSynchronizing);
  for (const [from, to] of [
    [primary, replica],
    [replica, primary],
  ] as const) {
    // What a replica got by its own copy is all it has to continue with: the lanes are to hold all of what went before that.
    await to.waitForSync();
    await sentinel.waitForReplicas(1);
    await run.status.drained(NAME);
    // Sentinel's greetings are in the stream, and one that was written to ingest and not to the replica yet when the primary dies makes it a
    // failover with loss: nothing more is written (WRITE holds back PUBLISH, too), and the replica has all there is.
    await from.client().call("CLIENT", "PAUSE", 600_000, "WRITE");
    await to.waitForSync();
    await from.kill();
    await sentinel.countAsDownAfter(1_000);
    await sentinel.waitForSuccessor(from.port);
    await watched.write(to, `on ${to.port}`, 50);
    await drained(run.status, to.port);
    await sentinel.countAsDownAfter(PATIENT_MS);
    await from.restart();
    await from.replicate(to);
  }
  expect(await watched.differencesFrom(primary)).toEqual([]);
  const after = await run.status.get(NAME);
  expect(epochsOf(after)).toEqual([1]);
  expect(after.shards[0]?.term).toBeGreaterThan(before.shards[0]?.term ?? 0);
  expect(after.events.filter(({ text }) => / now/.test(text))).toHaveLength(2);
});

// Mutation: the writer's snapshot-phase.ts, nothing swept: ghost:0 stays. (What the sleeper publishes when it wakes up is refused by the
// lane's expected sequence, then by its term, then by its epoch: case 8 of ingest.)
test("case 26: split brain: what the former primary still tells its clients and a sleeping ingest remains nowhere", async () => {
  await using nats = await NatsServer.start();
  await using watched = await Watched.start();
  const { primary, replica, sentinel, destination } = watched;
  await watched.write(primary, "kept", 50);
  await using services = await Services.start(nats.url, { ingests: 2, writers: 1 });
  const { status } = services;
  await status.create(watched.pipeline());
  const first = await status.until(NAME, "synchronizing", isSynchronizing);
  const sleeper = first.shards[0]?.instance ?? "";
  const there = destination.client();

  // Some of the split is applied before anybody knows of it …
  await replica.waitForSync();
  await replica.client().replicaof("NO", "ONE");
  await primary.client().set("ghost:0", "boo");
  await waitUntil("the ghost is applied", async () => (await there.exists("ghost:0")) === 1);
  // … and some is still in the sleeper's sockets when it wakes up.
  services.of(sleeper).signal("SIGSTOP");
  for (let index = 1; index <= 100; index++) await primary.client().set(`ghost:${index}`, "boo");
  await sentinel.abandonFor(replica);
  await watched.write(replica, "new", 50);
  const heir = ({ shards }: PipelineStatus): boolean =>
    shards[0]?.instance !== sleeper && shards[0]?.phase === "streaming" && shards[0].epoch === 2;
  await status.until(NAME, "another ingest has copied the new primary", heir);
  services.of(sleeper).signal("SIGCONT");
  for (let index = 101; index <= 200; index++) await primary.client().set(`ghost:${index}`, "boo");
  await waitUntil("the sleeper has noticed", () => /lease lost|BUS-002/.test(services.outputOf(sleeper)));
  await watched.write(replica, "newer", 50);
  await drained(status, replica.port);
  expect(await watched.differencesFrom(replica)).toEqual([]);
  expect(await there.keys("ghost:*")).toEqual([]);
});

// Mutation: continuation.ts, a former id never asked for: a full copy, epoch 2.
test("case 28: the source restarts from its RDB, keys having expired meanwhile: continued, and they are deleted", async () => {
  const config = { save: '"3600 1"', "shutdown-timeout": "0" };
  await using source = await RedisServer.start({ config });
  await using destination = await RedisServer.start();
  const client = source.client();
  for (let index = 0; index < 1_000; index++) await client.set(`key:${index}`, "v");
  await using run = await Run.start({
    name: NAME,
    source: { url: source.url },
    destinations: [{ url: destination.url }],
  });
  await run.status.until(NAME, "synchronizing", isSynchronizing);
  // Nobody finds that they have expired before they are loaded again.
  await client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0");
  for (let index = 0; index < 50; index++) await client.set(`short:${index}`, "v", "PX", 100);
  await run.status.drained(NAME);
  expect(await destination.client().dbsize()).toBe(1_051);
  await source.restart();
  const there = destination.client();
  await waitUntil("they are deleted", async () => (await there.dbsize()) <= 1_001);
  await client.set("later", "v");
  await run.status.drained(NAME);
  expect((await compareServers(source, destination)).differences).toEqual([]);
  expect(epochsOf(await run.status.get(NAME))).toEqual([1]);
  expect(await client.info("stats")).toContain("sync_full:0\r\nsync_partial_ok:1\r\n");
});

// Mutation: ingest's resume-point.ts, the test of `snapshotEnd` taken out: a copy that was cut off is continued, and never ends.
test("case 9: ingest is killed again and again inside the copy: nothing is swept early, and no stale key is left in the end", async () => {
  // In µs for each key: so slow that a copy which is seen half-way goes on for longer than it takes to look at the destination.
  await using source = await RedisServer.start({ config: { "rdb-key-save-delay": "5000" } });
  await using destination = await RedisServer.start();
  await preload(source.client(), { keys: 4_000, databases: [0], seed: 9 });
  const there = destination.client();
  for (let index = 0; index < 500; index++) await there.rpush(`stale:${index}`, "a", "b");
  await using run = await Run.start({
    name: NAME,
    source: { url: source.url },
    destinations: [{ url: destination.url, existing: "replace" }],
  });
  for (const share of [0.25, 0.5]) {
    await run.status.until(NAME, `${share * 100} % are copied`, ({ shards }) => {
      const { phase, copied } = shards[0] ?? { phase: "connecting", copied: { keys: 0, expectedKeys: 1 } };
      return phase === "copying" && copied.expectedKeys > 0 && copied.keys >= share * copied.expectedKeys;
    });
    expect((await there.keys("stale:*")).length, `at ${share * 100} %`).toBe(500);
    await run.killAndWait("ingest-1");
  }
  await source.client().config("SET", "rdb-key-save-delay", "0");
  await run.status.until(NAME, "synchronizing", isSynchronizing);
  const { expiryGraceMs } = await run.status.drained(NAME);
  const comparison = await compareServers(source, destination, {
    source,
    expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, expiryGraceMs),
  });
  expect(comparison.differences).toEqual([]);
  expect(await there.keys("stale:*")).toEqual([]);
});

// Mutation: rdb-reader.ts, the comparison of the checksum taken out: the stale keys are swept by a damaged copy.
test("case 69: an RDB whose checksum is wrong sweeps nothing and is asked for again", async () => {
  const rdb = readFileSync(rdbPath("7.0.15"));
  const damaged = Buffer.from(rdb);
  damaged[damaged.length - 1]! ^= 1;
  await using source = await RecordedPrimary.start({ version: "7.0.15", rdb: damaged });
  await using destination = await RedisServer.start();
  const there = destination.client();
  await there.set("stale", "v");
  await using run = await Run.start({
    name: NAME,
    source: { url: source.url },
    destinations: [{ url: destination.url, existing: "replace" }],
  });
  await waitUntil("it is asked for again", () => source.fullSyncs >= 2, { details: () => run.logTail() });
  expect(await there.get("stale")).toBe("v");
  source.serve(rdb);
  await run.status.until(NAME, "live", ({ lanes }) => lanes[0]?.phase === "live");
  expect(await there.exists("stale")).toBe(0);
});

// Mutation: next-topology.ts, the floor raised where the address changes: another epoch after the failover in agreement.
test("case 25: a shard of a cluster fails over in agreement, then another one for the death of its primary, under load", async () => {
  await using source = await RedisCluster.start({ layout: EVEN_LAYOUT, replicas: 1 });
  await using destination = await RedisServer.start();
  const client = source.client();
  let isEnough = false;
  const counted = new Set<string>();
  const load = Array.from({ length: 4 }, async (_, worker) => {
    for (let index = 0; !isEnough; index = (index + 1) % 500) {
      const key = `counter:${worker}:${index}`;
      counted.add(key);
      await client.incr(key).catch(() => undefined);
      await pace(1);
    }
  });
  await using run = await Run.start({
    name: NAME,
    source: { url: source.url },
    destinations: [{ url: destination.url }],
  });
  const before = epochsOf(await run.status.until(NAME, "synchronizing", isSynchronizing));
  const [first, second] = await source.primaries();
  const successor = await source.failover(first!);
  await run.status.until(
    NAME,
    "the first shard is followed",
    (status) => isSynchronizing(status) && status.events.some(({ text }) => text.includes(`:${successor.port} now`)),
  );
  await run.status.until(NAME, "and streams", ({ shards }) => shards.every(({ phase }) => phase === "streaming"));
  expect(epochsOf(await run.status.get(NAME))).toEqual(before);
  const heir = await source.killPrimary(second!);
  await run.status.until(NAME, "the second shard is followed", ({ events }) =>
    events.some(({ text }) => text.includes(`:${heir.port} now`)),
  );
  isEnough = true;
  await Promise.all(load);
  await run.status.until(NAME, "synchronizing", isSynchronizing);
  await run.status.drained(NAME);
  const there = destination.client();
  const differing: string[] = [];
  for (const key of counted) if ((await client.get(key)) !== (await there.get(key))) differing.push(key);
  expect(differing).toEqual([]);
  expect(counted.size).toBeGreaterThan(100);
});
