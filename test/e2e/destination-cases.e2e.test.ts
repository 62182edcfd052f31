import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisCluster, RedisServer, TcpProxy, waitUntil } from "@sluice/testkit";
import { liveSubject, type PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Run, Services } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { EVEN_LAYOUT, Pair, type SideOptions } from "./pair.ts";

const RATE = 2_000;
const DETECTED_WITHIN_MS = 5_000;
const standalone: SideOptions = { kind: "standalone" };
const cluster: SideOptions = { kind: "cluster", cluster: { layout: EVEN_LAYOUT } };
const replicated: SideOptions = { kind: "cluster", cluster: { layout: EVEN_LAYOUT, replicas: 1 } };

/** Every lane is past its copy, that of its shard's epoch. How far it is behind is for the machine's load to say. */
const isLive = ({ shards, lanes }: PipelineStatus): boolean =>
  lanes.length > 0 && lanes.every(({ phase, epoch }) => phase === "live" && epoch === shards[0]?.epoch);
const epochOf = ({ shards }: PipelineStatus): number => shards[0]?.epoch ?? 0;

function serverOf(side: Pair["source"]): RedisServer {
  if (side instanceof RedisServer) return side;
  throw new Error("not one server");
}

function clusterOf(side: Pair["source"]): RedisCluster {
  if (side instanceof RedisCluster) return side;
  throw new Error("not a cluster");
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Few lanes: each takes its share of a machine that runs two clusters beside them. */
const LANES = 4;

/** Waits until a lane copies again or waits for its destination, and says how long that took. */
async function expectNoticed(run: Run, lostAtMs: number): Promise<void> {
  await run.status.until("orders", "the loss is noticed", ({ lanes, state }) =>
    [state === "retrying", lanes.some(({ phase }) => phase !== "live")].includes(true),
  );
  const ms = Math.round(performance.now() - lostAtMs);
  note(`noticed after ${ms} ms`);
  expect(ms).toBeLessThan(DETECTED_WITHIN_MS);
}

// Mutations seen to fail the same case on one lane stand in services/writer/src/lane-loss.nats.test.ts.
test("case 46: a server that is flushed by hand, idle and under load, is noticed within 5 s and ends identical", async () => {
  await using pair = await Pair.start();
  await pair.preload(5_000, 101);
  await using run = await Run.start(pair.pipeline("orders"));
  await run.status.until("orders", "every lane is live", isLive);
  await run.status.drained("orders");
  const before = epochOf(await run.status.get("orders"));
  const destination = serverOf(pair.destination);
  let lostAtMs = performance.now();
  await destination.client().flushall();
  await expectNoticed(run, lostAtMs);
  await run.status.until("orders", "every lane is live", isLive);
  const load = await pair.load(102, RATE);
  await run.status.drained("orders");
  lostAtMs = performance.now();
  await destination.client().flushall();
  await expectNoticed(run, lostAtMs);
  await run.status.until("orders", "every lane is live", isLive);
  await expectIdentical("orders", pair, run.status, load);
  expect(epochOf(await run.status.get("orders")), "the stream still held the copy").toBe(before);
});

// Mutations seen to fail the same case on one lane stand in services/writer/src/lane-loss.nats.test.ts.
test("case 46: a server that is started again empty when the stream no longer holds the copy gets a new one", async () => {
  await using pair = await Pair.start();
  await pair.preload(5_000, 103);
  const load = await pair.load(104, RATE);
  await using run = await Run.start({ ...pair.pipeline("orders"), keepApplied: "1s" });
  const before = epochOf(await run.status.until("orders", "every lane is live", isLive));
  await waitUntil("the copy is removed from the stream", async () =>
    (await run.logOf("coordinator-1")).includes("copy is applied; its messages are removed"),
  );
  const lostAtMs = performance.now();
  await serverOf(pair.destination).restart("SIGKILL");
  await expectNoticed(run, lostAtMs);
  const after = await run.status.until(
    "orders",
    "every lane is live in a new epoch",
    (status) => isLive(status) && epochOf(status) > before,
  );
  expect(after.events.map(({ text }) => text).join("\n")).toContain("copied anew: s0");
  await expectIdentical("orders", pair, run.status, load);
});

// Mutations seen to fail the same case on one lane stand in services/writer/src/cluster/cluster-loss.nats.test.ts.
test("case 46: a cluster node that is started again empty: its slots are copied anew, under load", async () => {
  await using pair = await Pair.start(standalone, cluster);
  await pair.preload(5_000, 105);
  const load = await pair.load(106, RATE);
  await using run = await Run.start({ ...pair.pipeline("orders"), lanes: LANES });
  const before = epochOf(await run.status.until("orders", "every lane is live", isLive));
  const [, second] = await clusterOf(pair.destination).primaries();
  const lostAtMs = performance.now();
  await second?.restart("SIGKILL");
  await expectNoticed(run, lostAtMs);
  await run.status.until("orders", "every lane is live", isLive);
  await expectIdentical("orders", pair, run.status, load);
  expect(epochOf(await run.status.get("orders")), "no new copy was asked of the source").toBe(before);
});

const COUNTERS = 300;
const ROUNDS = 200;

/** Counters and lists over all slots that nothing else writes to: after this they are quiet for ever. */
async function burst(source: RedisServer): Promise<void> {
  const client = source.client();
  for (let round = 0; round < ROUNDS; round++) {
    const pipeline = client.pipeline();
    for (let key = 0; key < COUNTERS; key++) pipeline.incr(`burst:n${key}`).rpush(`burst:l${key}`, round);
    await pipeline.exec();
  }
}

/** Steps of the burst that a server holds. */
async function held(server: RedisServer): Promise<number> {
  const client = server.client();
  await client.call("READONLY").catch(() => undefined);
  let steps = 0;
  for (let key = 0; key < COUNTERS; key++) {
    const [count, length] = await Promise.all([
      client.get(`burst:n${key}`).catch(() => null),
      client.llen(`burst:l${key}`).catch(() => 0),
    ]);
    steps += Number(count ?? 0) + length;
  }
  return steps;
}

/** The replica gets nothing more from its primary: its link is cut, and a new one refused. */
async function leaveBehind(primary: RedisServer): Promise<void> {
  await primary.client().call("ACL", "SETUSER", "default", "-psync", "-sync");
  await primary.client().call("CLIENT", "KILL", "TYPE", "replica");
}

// Mutation seen to fail it: cluster-marks.ts, the highest watermark counts.
test("case 44: a cluster's primary is killed and a replica promoted that lacks tens of thousands of its writes, under load", async () => {
  await using pair = await Pair.start(standalone, replicated);
  await pair.preload(3_000, 111);
  const load = await pair.load(112, RATE, { counters: 40, lists: 30 });
  await using run = await Run.start({ ...pair.pipeline("orders"), lanes: LANES });
  const before = epochOf(await run.status.until("orders", "every lane is live", isLive));
  const destination = clusterOf(pair.destination);
  const [first] = await destination.primaries();
  const [replica] = first === undefined ? [] : await destination.replicas(first);
  if (first === undefined || replica === undefined) throw new Error("no replica");
  await leaveBehind(first);
  await burst(serverOf(pair.source));
  await run.status.drained("orders");
  const lost = (await held(first)) - (await held(replica));
  expect(lost).toBeGreaterThan(20_000);
  const killedAtMs = performance.now();
  expect(await destination.killPrimary(first)).toBe(replica);
  await run.status.drained("orders");
  note(`lost ${lost} acknowledged writes; drained ${Math.round(performance.now() - killedAtMs)} ms after the kill`);
  await expectIdentical("orders", pair, run.status, load);
  expect(epochOf(await run.status.get("orders")), "no resync").toBe(before);
});

/** Removes all changes of the lane from the stream but the last message, as trimming does when they were kept long enough. */
async function trimChanges(nats: NatsServer): Promise<void> {
  const bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
  const subject = liveSubject("orders", "s0", 0);
  const tail = await bus.stream("orders").tail(subject);
  await bus.stream("orders").trim(subject, tail?.sequence ?? 0);
  await bus.close();
}

// Mutations seen to fail the same case on one lane stand in services/writer/src/lane-loss.nats.test.ts.
test.each([
  ["44", "what it lost is applied again", false],
  ["45", "what it lost is not in the stream any more: copied anew", true],
])("case %s: a server's lagging replica takes its place behind the same address; %s", async (_, __, isTrimmed) => {
  await using pair = await Pair.start();
  await pair.preload(3_000, 113);
  const primary = serverOf(pair.destination);
  await using replica = await RedisServer.start({ replicaOf: primary });
  await using proxy = await TcpProxy.start({ to: { host: "127.0.0.1", port: primary.port } });
  await using nats = await NatsServer.start();
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1 });
  const { status } = services;
  await status.create({ ...pair.pipeline("orders"), destinations: [{ url: `redis://127.0.0.1:${proxy.port}` }] });
  const load = await pair.load(114, RATE);
  const before = epochOf(await status.until("orders", "every lane is live", isLive));
  await replica.waitForSync();
  await leaveBehind(primary);
  await burst(serverOf(pair.source));
  await status.drained("orders");
  const lost = (await held(primary)) - (await held(replica));
  expect(lost).toBeGreaterThan(20_000);
  await primary.kill();
  if (isTrimmed) await trimChanges(nats);
  proxy.leadTo({ host: "127.0.0.1", port: replica.port });
  await status.until(
    "orders",
    "waits while it is a replica",
    ({ lanes }) => lanes[0]?.retry?.reason.includes("READONLY") === true,
  );
  await replica.client().replicaof("NO", "ONE");
  await expectIdentical("orders", pair, status, load, { destination: replica });
  const after = await status.get("orders");
  note(`lost ${lost} acknowledged writes; epoch ${before} before, ${epochOf(after)} after`);
  if (isTrimmed) expect(after.events.map(({ text }) => text).join("\n")).toContain("copied anew: s0");
  else expect(epochOf(after), "no resync").toBe(before);
});

const STALE_ROUNDS = 500;

/** Keys of every type that no source holds, over all slots, and one long list. */
async function plantStale(client: ReturnType<Pair["destination"]["client"]>): Promise<void> {
  for (let round = 0; round < STALE_ROUNDS; round++) {
    const name = (kind: string): string => `{tag${round % 97}}:${kind}:${round}`;
    await Promise.all([
      client.set(name("string"), "x", "PX", 3_600_000),
      client.setbit(name("bitmap"), 4_000, 1),
      client.hset(name("hash"), "field", "value"),
      client.rpush(name("list"), "a", "b", "b"),
      client.sadd(name("set"), "a", "b"),
      client.zadd(name("zset"), 1, "a", 2, "b"),
      client.geoadd(name("geo"), 13, 38, "a"),
      client.pfadd(name("hll"), "a", "b"),
      client.xadd(name("stream"), "*", "field", "value"),
    ]);
  }
  await client.rpush("{stale}:long", ...Array.from({ length: 50_000 }, (_, index) => String(index)));
}

// Mutation seen to fail this: snapshot-phase.ts, `#held` stays null.
test.each([["cluster", cluster] as const])(
  "case 57: a %s full of keys of all types that the source does not hold ends with none of them after a forced resync",
  async (_, side) => {
    await using pair = await Pair.start(standalone, side);
    await pair.preload(3_000, 121);
    await serverOf(pair.source)
      .client()
      .rpush("both:long", ...Array.from({ length: 20_000 }, (__, index) => String(index)));
    const load = await pair.load(122, 1_000);
    await using run = await Run.start({ ...pair.pipeline("orders", { existing: "replace" }), lanes: LANES });
    const before = epochOf(await run.status.until("orders", "every lane is live", isLive));
    await plantStale(pair.destination.client());
    const source = serverOf(pair.source).client();
    await source.call("DEBUG", "CHANGE-REPL-ID");
    await source.call("CLIENT", "KILL", "TYPE", "replica");
    await run.status.until(
      "orders",
      "every lane is live in a new epoch",
      (status) => isLive(status) && epochOf(status) > before,
    );
    await expectIdentical("orders", pair, run.status, load);
  },
);
