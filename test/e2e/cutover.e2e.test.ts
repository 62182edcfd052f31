import { compareDeployments, NatsServer, RedisCluster, waitUntil, type Workload } from "@sluice/testkit";
import type { PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Run, Services } from "./deployment.ts";
import { EVEN_LAYOUT, Pair, type SideOptions } from "./pair.ts";

const NAME = "orders";
/** So many that settling them takes seconds: in a cluster each needs a script of its own. */
const MANY_KEYS = { server: 100_000, cluster: 25_000 };
const FEW_KEYS = 6_000;
/** Longer than clients must be quiet, and a look more. */
const WAITING_MS = 6_000;
const HOUR_MS = 3_600_000;
const standalone: SideOptions = { kind: "standalone" };
const cluster: SideOptions = { kind: "cluster", cluster: { layout: EVEN_LAYOUT } };

/** A true expiry, as settling leaves it: 1 ms less where it was odd. */
const settled = (expireAtMs: number): number => expireAtMs - (expireAtMs % 2);

/** Keys that expire in an hour and more, so that settling takes a while. */
async function addVolatileKeys({ source }: Pair, keys: number): Promise<void> {
  const client = source.client();
  for (let from = 0; from < keys; from += 2_000) {
    const writes = Array.from({ length: 2_000 }, async (_, index) =>
      client.set(`session:${from + index}`, "s", "PX", HOUR_MS + from + index),
    );
    await Promise.all(writes);
  }
}

async function cutOver({ status }: Run | Services, force = false): Promise<{ code: number; answer: string }> {
  return status.post(NAME, "cutover", { force });
}

async function expectSettled(pair: Pair, load: Workload, expiryMayBeLaterByMs = 0): Promise<void> {
  expect((await load.stop()).errorSamples).toEqual([]);
  const comparison = await compareDeployments(await pair.oracle(), pair.destination, {
    source: pair.source,
    expiryOf: settled,
    expiryMayBeLaterByMs,
  });
  expect(comparison.differences).toEqual([]);
  expect(comparison.keys).toBeGreaterThan(FEW_KEYS);
}

const isSynchronizing = ({ state }: PipelineStatus): boolean => state === "synchronizing";
const isSettling = ({ cutover }: PipelineStatus): boolean => {
  const group = cutover?.groups["main"];
  return cutover?.phase === "settling" && group !== undefined && group.looked > 0 && !group.isDone;
};

// Mutations that were seen to fail this test: cutover.ts, UNSETTLED with `isDone: true`: nothing is settled. settle-script.ts, NEXT
// without its second look at `expiry % 2`: a coordinator that goes on after the kill subtracts the grace twice. source-writes.ts,
// writes that are not counted: it does not wait for the clients.
test.each([
  ["one server", standalone, standalone, MANY_KEYS.server],
  ["a cluster", cluster, cluster, MANY_KEYS.cluster],
] as const)(
  "cut-over, destination %s: waits for the clients, drains, settles; a coordinator killed in the middle changes nothing",
  async (_, source, destination, keys) => {
    await using pair = await Pair.start(source, destination);
    await addVolatileKeys(pair, keys);
    await pair.preload(2_000, 81);
    const load = await pair.load(82, 500);
    await using run = await Run.start(pair.pipeline(NAME));
    await run.status.until(NAME, "synchronizing", isSynchronizing);
    expect((await cutOver(run)).code).toBe(202);
    const waiting = await run.status.until(
      NAME,
      "waits for the clients",
      ({ state, reason }) => state === "cutting-over" && reason.includes("clients"),
    );
    expect(waiting.cutover?.phase).toBe("draining");
    const untilMs = performance.now() + WAITING_MS;
    await waitUntil("it would have taken them for quiet", () => performance.now() >= untilMs, { timeoutMs: 2 * WAITING_MS });
    expect((await run.status.get(NAME)).cutover?.phase).toBe("draining");
    await load.stop();
    await run.status.until(NAME, "settles", isSettling);
    // Scripts wait there, so that the kill finds some settled and some not.
    const primaries = pair.destination instanceof RedisCluster ? await pair.destination.primaries() : [pair.destination];
    await Promise.all(primaries.map(async (primary) => primary.client().client("PAUSE", 2_000, "WRITE")));
    expect((await run.status.get(NAME)).cutover?.groups["main"]?.isDone).toBe(false);
    await run.killAndWait("coordinator-1");
    const done = await run.status.until(NAME, "cut over", ({ state }) => state === "cut-over");
    expect(done.cutover?.groups["main"]).toMatchObject({ isDone: true, halt: null });
    await expectSettled(pair, load);
    await cutOver(run, true);
    expect((await run.status.get(NAME)).cutover?.phase).toBe("done");
    await expect(run.status.create(pair.pipeline(NAME))).rejects.toThrow("PIP-009");
  },
);

// Mutation that was seen to fail this test: group-settling.ts, `isRemarking` false: half of the keys that moved keep the grace.
test("cut-over: slots of the destination moved while the pipeline ran", async () => {
  await using pair = await Pair.start(standalone, cluster);
  await addVolatileKeys(pair, FEW_KEYS);
  const load = await pair.load(83, 300);
  await using run = await Run.start(pair.pipeline(NAME));
  await run.status.until(NAME, "synchronizing", isSynchronizing);
  const { destination } = pair;
  if (!(destination instanceof RedisCluster)) throw new Error("not a cluster");
  const [first, second] = await destination.primaries();
  await destination.reshard(first!, second!, 300);
  await run.status.drained(NAME);
  await load.stop();
  expect((await cutOver(run)).code).toBe(202);
  await run.status.until(NAME, "cut over", ({ state }) => state === "cut-over");
  await expectSettled(pair, load, 2_000);
});

// Mutation that was seen to fail this test: next-cutover.ts, `stopping` asks the source although it is forced: it waits for ever.
test("cut-over by force: the source is gone and the pipeline stopped", async () => {
  await using pair = await Pair.start();
  await addVolatileKeys(pair, FEW_KEYS);
  const load = await pair.load(84, 300);
  await using nats = await NatsServer.start();
  await using run = await Services.start(nats.url, { ingests: 1, writers: 1 });
  await run.status.create(pair.pipeline(NAME));
  await run.status.until(NAME, "synchronizing", isSynchronizing);
  await load.stop();
  await run.status.drained(NAME);
  const oracle = await pair.oracle();
  for (const node of pair.sourceNodes) await node.kill();
  await run.status.until(NAME, "misses its source", ({ state }) => state === "retrying");
  expect((await run.status.post(NAME, "stop")).code).toBe(202);
  await run.status.until(NAME, "stopped", ({ state }) => state === "stopped");
  expect((await cutOver(run)).answer).toContain("PIP-010");
  expect((await cutOver(run, true)).code).toBe(202);
  await run.status.until(NAME, "cut over", ({ state }) => state === "cut-over");
  const comparison = await compareDeployments(oracle, pair.destination, { expiryOf: settled });
  // What has expired at a source that nobody can ask any more is gone in the destination, and hidden in the oracle.
  expect(comparison.differences).toEqual([]);
});
