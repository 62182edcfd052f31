import { compareDeployments, NatsServer, RedisServer, waitUntil, type Workload } from "@sluice/testkit";
import { expiryWithGrace, type PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Run, Services } from "./deployment.ts";
import { EVEN_LAYOUT, OTHER_LAYOUT, Pair, startSide, type Side } from "./pair.ts";

const NAME = "orders";
const ORDERS = 3_000;
/** At least so long one destination is away; `AWAY_SECONDS` makes it longer, and what the others' lag was then is printed. */
const AWAY_MS = Number(process.env["AWAY_SECONDS"] ?? 0) * 1_000;
const evenCluster = { kind: "cluster", cluster: { layout: EVEN_LAYOUT } } as const;
const otherCluster = { kind: "cluster", cluster: { layout: OTHER_LAYOUT } } as const;

const isSynchronizing = ({ state }: PipelineStatus): boolean => state === "synchronizing";

/** Bytes of the source's stream that a group has applied, over all shards and lanes. */
function applied(status: PipelineStatus, group: string): number {
  return status.lanes.filter((lane) => lane.group === group).reduce((sum, lane) => sum + lane.appliedOffset, 0);
}

async function expectSame(pair: Pair, status: PipelineStatus, destination: Side): Promise<void> {
  const comparison = await compareDeployments(await pair.oracle(), destination, {
    source: pair.source,
    expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, status.expiryGraceMs),
  });
  expect(comparison.differences).toEqual([]);
  expect(comparison.keys).toBeGreaterThan(ORDERS);
}

/** Keys of a server, but Sluice's own. */
async function keysOf(server: RedisServer): Promise<string[]> {
  return (await server.client().keys("*")).filter((key) => !key.startsWith("sluice:{")).toSorted();
}

// Mutation: writer-service.ts, one writer for all groups of a lane: the group whose destination is away holds up the others.
test("one link, three destinations, a cluster, a server, and a server with a filter: one is away, the others go on", async () => {
  await using pair = await Pair.start(evenCluster, otherCluster);
  await using server = await RedisServer.start();
  await using filtered = await RedisServer.start();
  await pair.preload(3_000, 71);
  const client = pair.source.client();
  for (let from = 0; from < ORDERS; from += 500)
    await Promise.all(Array.from({ length: 500 }, async (_, index) => client.set(`order:${from + index}`, "new")));
  await using nats = await NatsServer.start();
  await using services = await Services.start(nats.url, { ingests: 1, writers: 2 });
  const destinations = [
    { group: "cluster", url: pair.destination.url },
    { group: "server", url: server.url },
    { group: "filtered", url: filtered.url, keys: { include: ["order:*"], exclude: ["order:1*"] } },
  ];
  await services.status.create({ name: NAME, source: { url: pair.source.url }, destinations });
  await services.status.until(NAME, "synchronizing", isSynchronizing);
  const replicas = await Promise.all(pair.sourceNodes.map(async (node) => node.client().info("replication")));
  // One link of ours and the oracle's real replica.
  for (const info of replicas) expect(info).toMatch(/^connected_slaves:2\r$/m);

  const load: Workload = await pair.load(72, 1_000);
  await server.kill();
  await services.status.until(
    NAME,
    "one waits",
    ({ state, reason }) => state === "retrying" && reason.includes("destination server"),
  );
  const untilMs = performance.now() + AWAY_MS;
  let mostSeconds = 0;
  let mostMs = 0;
  for (let round = 0; round < 3 || performance.now() < untilMs; round++) {
    const writtenMs = performance.now();
    await client.set("order:2", `round ${round}`);
    for (const destination of [pair.destination, filtered])
      await waitUntil("it arrives", async () => (await destination.client().get("order:2")) === `round ${round}`);
    mostMs = Math.max(mostMs, performance.now() - writtenMs);
    const before = await services.status.get(NAME);
    const others = before.lanes.filter(({ group }) => group !== "server");
    mostSeconds = Math.max(mostSeconds, ...others.map(({ lagSeconds }) => lagSeconds ?? 0));
    for (const group of ["cluster", "filtered"]) {
      const more = applied(before, group) + 50_000;
      await services.status.until(NAME, `${group} goes on`, (status) => applied(status, group) > more);
    }
  }
  if (AWAY_MS > 0)
    console.log(`the others lagged by ${mostSeconds} s at most; a write was in both after ${Math.round(mostMs)} ms at most`);
  await server.restart();
  await client.set("order:7", "changed");
  await Promise.all(["order:8", "order:18"].map(async (key) => client.del(key)));
  expect((await load.stop()).errorSamples).toEqual([]);
  await services.status.until(NAME, "in step again", isSynchronizing);
  const status = await services.status.drained(NAME);
  for (const destination of [pair.destination, server]) await expectSame(pair, status, destination);
  const wanted = Array.from({ length: ORDERS }, (_, index) => `order:${index}`).filter(
    (key) => key !== "order:8" && !key.startsWith("order:1"),
  );
  expect(await keysOf(filtered)).toEqual(wanted.toSorted());
  expect(await filtered.client().get("order:7")).toBe("changed");
});

// Mutation: change-reader.ts, commands on keys of Sluice itself are passed on: the marks of the first pipeline arrive in the last server.
test.each([
  { of: "servers", side: { kind: "standalone" } as const, next: { kind: "standalone" } as const },
  { of: "clusters", side: evenCluster, next: otherCluster },
])(
  "a cascade of $of: what one pipeline writes the next one takes on, and nobody's marks but its own are in a destination",
  async ({ side, next }) => {
    await using pair = await Pair.start(side, next);
    await using last = await startSide(side);
    await pair.preload(3_000, 73);
    const load = await pair.load(74, 1_000);
    await using run = await Run.start(pair.pipeline(NAME));
    await run.status.until(NAME, "synchronizing", isSynchronizing);
    await run.status.create({
      name: "onward",
      source: { url: pair.destination.url },
      destinations: [{ url: last.url }],
    });
    await run.status.until("onward", "synchronizing", isSynchronizing);
    expect((await load.stop()).errorSamples).toEqual([]);
    const first = await run.status.drained(NAME);
    const second = await run.status.drained("onward");
    const oracle = await pair.oracle();
    for (const [destination, graces] of [
      [pair.destination, [first.expiryGraceMs]],
      [last, [first.expiryGraceMs, second.expiryGraceMs]],
    ] as const) {
      const comparison = await compareDeployments(oracle, destination, {
        source: pair.source,
        expiryOf: (expireAtMs) => graces.reduce((at, graceMs) => expiryWithGrace(at, graceMs), expireAtMs),
      });
      expect(comparison.differences).toEqual([]);
      expect(comparison.keys).toBeGreaterThan(2_000);
    }
    const nodes = last instanceof RedisServer ? [last] : last.nodes;
    const marks = await Promise.all(nodes.map(async (node) => node.client().keys("sluice:{*")));
    expect(marks.flat()).not.toEqual([]);
    expect(marks.flat().filter((key) => !key.includes(":onward:"))).toEqual([]);
  },
);
