import { NatsServer, RedisCluster, waitUntil } from "@sluice/testkit";
import type { PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Run, Services } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { EVEN_LAYOUT, OTHER_LAYOUT, Pair, type Side } from "./pair.ts";

const RATE = 3_000;
const evenCluster = { kind: "cluster", cluster: { layout: EVEN_LAYOUT } } as const;
const otherCluster = { kind: "cluster", cluster: { layout: OTHER_LAYOUT } } as const;

function clusterOf(side: Side): RedisCluster {
  if (side instanceof RedisCluster) return side;
  throw new Error("not a cluster");
}

const isSynchronizing = ({ state }: PipelineStatus): boolean => state === "synchronizing";

test("destination: slots move and shards fail over while data flows", async () => {
  await using pair = await Pair.start(evenCluster, { kind: "cluster", cluster: { layout: EVEN_LAYOUT, replicas: 1 } });
  await pair.preload(5_000, 51);
  const load = await pair.load(52, RATE, { counters: 40, lists: 30 });
  await using run = await Run.start(pair.pipeline("orders"));
  await run.status.until("orders", "synchronizing", isSynchronizing);
  const destination = clusterOf(pair.destination);
  const [first, second] = await destination.primaries();
  if (first === undefined || second === undefined) throw new Error("no primaries");
  await destination.moveSlots(200, first, second);
  await destination.reshard(second, first, 100);
  await run.status.drained("orders");
  await destination.failover(first);
  await run.status.drained("orders");
  await expectIdentical("orders", pair, run.status, load, { expiryMayBeLaterByMs: 1_000 });
});

// Mutation: next-topology.ts, `floor` of a shard whose slots changed left as it was: it is continued, and what arrived in the slots that it
// got is missing. And change-reader.ts, commands on slots of others taken along: elements of lists are doubled.
test("case 31: source: slots move under load; it ends identical by itself and says what happened", async () => {
  await using pair = await Pair.start(evenCluster, otherCluster);
  await pair.preload(5_000, 61);
  const load = await pair.load(62, RATE);
  await using run = await Run.start(pair.pipeline("orders"));
  await run.status.until("orders", "synchronizing", isSynchronizing);
  const source = clusterOf(pair.source);
  const [first, second] = await source.primaries();
  if (first === undefined || second === undefined) throw new Error("no primaries");
  const before = (await run.status.get("orders")).shards.map(({ epoch }) => epoch);
  await source.reshard(first, second, 100);
  const after = await run.status.until(
    "orders",
    "both shards begin a new epoch and are in step again",
    (status) => isSynchronizing(status) && status.shards.filter(({ epoch }) => epoch > Math.max(...before)).length === 2,
  );
  expect(after.events.map(({ text }) => text).join("\n")).toContain("slots moved: 0-99 from s0 to s1");
  await expectIdentical("orders", pair, run.status, load);
});

test("source: slots move under load, and the destination is one server", async () => {
  await using pair = await Pair.start(evenCluster, { kind: "standalone" });
  await pair.preload(5_000, 63);
  const load = await pair.load(64, RATE);
  await using run = await Run.start(pair.pipeline("orders"));
  await run.status.until("orders", "synchronizing", isSynchronizing);
  const source = clusterOf(pair.source);
  const [first, second] = await source.primaries();
  if (first === undefined || second === undefined) throw new Error("no primaries");
  const before = (await run.status.get("orders")).shards.map(({ epoch }) => epoch);
  await source.reshard(first, second, 300);
  await run.status.until(
    "orders",
    "both shards begin a new epoch and are in step again",
    (status) => isSynchronizing(status) && status.shards.filter(({ epoch }) => epoch > Math.max(...before)).length === 2,
  );
  await expectIdentical("orders", pair, run.status, load);
});

test("three writers and two ingests share the work; one is killed and one is added, and nothing else is disturbed", async () => {
  await using nats = await NatsServer.start();
  await using pair = await Pair.start(evenCluster, otherCluster);
  await pair.preload(5_000, 71);
  const load = await pair.load(72, RATE);
  await using services = await Services.start(nats.url, { ingests: 2, writers: 3 });
  const { status } = services;
  await status.create(pair.pipeline("orders"));
  const first = await status.until("orders", "synchronizing", isSynchronizing);
  const lanesOf = (seen: PipelineStatus, instance: string): string[] =>
    seen.lanes.filter((lane) => lane.instance === instance).map(({ shard, lane }) => `${shard}.${lane}`);
  const counts = ["writer-1", "writer-2", "writer-3"].map((writer) => lanesOf(first, writer).length);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  expect(new Set(first.shards.map(({ instance }) => instance)).size).toBe(2);

  const killedAt = performance.now();
  await services.of("writer-2").kill();
  const moved = await status.until("orders", "the killed one's lanes move", (seen) => lanesOf(seen, "writer-2").length === 0);
  expect(performance.now() - killedAt).toBeLessThan(10_000);
  for (const writer of ["writer-1", "writer-3"])
    expect(lanesOf(moved, writer)).toEqual(expect.arrayContaining(lanesOf(first, writer)));

  await services.add("writer", "writer-4");
  await status.until(
    "orders",
    "the new one gets its share",
    (seen) => lanesOf(seen, "writer-4").length >= Math.floor(seen.lanes.length / 3),
  );
  await expectIdentical("orders", pair, status, load);
});

test("converges: a forced second full copy over a destination with 10 000 stale keys and long lists", async () => {
  await using pair = await Pair.start(evenCluster, otherCluster);
  await pair.preload(5_000, 81);
  const source = clusterOf(pair.source).client();
  for (let list = 0; list < 20; list++)
    await source.rpush(`long:${list}`, ...Array.from({ length: 5_000 }, (_, index) => `${list}:${index}`));
  const load = await pair.load(82, 1_000);
  await using run = await Run.start(pair.pipeline("orders", { existing: "replace" }));
  await run.status.until("orders", "synchronizing", isSynchronizing);
  const before = (await run.status.get("orders")).shards.map(({ epoch }) => epoch);
  const destination = clusterOf(pair.destination).client();
  for (let key = 0; key < 10_000; key += 100) {
    await Promise.all(Array.from({ length: 100 }, async (_, index) => destination.rpush(`stale:${key + index}`, "a", "b")));
  }
  // Another replication id and no link: what the source is asked to continue, it does not know.
  for (const node of pair.sourceNodes) {
    await node.client().call("DEBUG", "CHANGE-REPL-ID");
    await node.client().call("CLIENT", "KILL", "TYPE", "replica");
  }
  await run.status.until(
    "orders",
    "every shard begins a new epoch and is in step again",
    (status) => isSynchronizing(status) && status.shards.every(({ epoch }) => epoch > Math.max(...before)),
  );
  await expectIdentical("orders", pair, run.status, load);
  expect(await waitUntil("no stale key is left", async () => (await destination.exists("stale:0")) === 0)).toBe(true);
});
