import { expect, test } from "vitest";
import { RedisServer } from "../servers/redis-server.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { compareServers } from "../compare/compare-servers.ts";
import { preload } from "./preload.ts";
import { verifyCounters } from "./verify-counters.ts";
import { Workload } from "./workload.ts";

test("preload makes the number of keys it is told, of every encoding, the same for the same seed", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const report = await preload(client, { keys: 6000, databases: [0, 9], seed: 11 });
  expect(report.keys).toBe(6000);
  const keyspace = await client.info("keyspace");
  expect(keyspace).toMatch(/db0:keys=3000,expires=\d{3}/);
  expect(keyspace).toMatch(/db9:keys=3000,expires=\d{3}/);

  const keys = await client.keysBuffer("*");
  const encodings = new Set(await Promise.all(keys.map((key) => client.object("ENCODING", key))));
  const all = ["int", "embstr", "raw", "listpack", "hashtable", "quicklist", "intset", "skiplist", "stream"];
  expect(encodings).toEqual(new Set(all));

  await using twin = await RedisServer.start();
  await preload(twin.client(), { keys: 300, seed: 11 });
  await using other = await RedisServer.start();
  await preload(other.client(), { keys: 300, seed: 11 });
  const { differences } = await compareServers(twin, other);
  expect(differences.filter(({ what }) => !what.includes("expires at") && !what.includes("group"))).toEqual([]);
});

test.each([{ singleSlot: false }, { singleSlot: true }])(
  "a load of 5000/s for 3 s: rate, no errors, counters ($singleSlot)",
  async (mode) => {
    // One node with all slots of a cluster refuses whatever touches two of them.
    await using server = await RedisServer.start(mode.singleSlot ? { config: { "cluster-enabled": "yes" } } : {});
    const databases = mode.singleSlot ? [0] : [0, 2];
    if (mode.singleSlot) {
      await server.client().call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
      await waitUntil("the cluster is up", async () => (await server.client().cluster("INFO")).includes("cluster_state:ok"));
    }
    await preload(server.client(), { keys: 2000, databases, seed: 21, ...mode });
    const options = { url: server.url, seed: 21, ratePerSecond: 5000, databases, ...mode };
    await using workload = new Workload(options);
    await workload.start();
    await waitUntil("3 s of load", () => workload.report().seconds >= 3);
    await workload.pause();
    const paused = workload.report();
    expect(await verifyCounters(server.client(), paused)).toEqual([]);
    await workload.start();
    await waitUntil("it goes on", () => workload.report().commands > paused.commands + 1000);
    const report = await workload.stop();

    expect(report.errorSamples).toEqual([]);
    expect(report.errors).toBe(0);
    expect(report.rate).toBeGreaterThan(4000);
    expect(report.rate).toBeLessThan(5500);
    expect(report.counters.length).toBeGreaterThan(80);
    expect(await verifyCounters(server.client(), report)).toEqual([]);
  },
);

test("verifyCounters finds a lost, a doubled and a reordered command", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  await using workload = new Workload({
    url: server.url,
    seed: 2,
    ratePerSecond: 2000,
    weights: { counters: 100, ledgers: 100, transactions: 50 },
  });
  await workload.start();
  await waitUntil("some load", () => workload.report().commands > 3000);
  const report = await workload.stop();
  expect(await verifyCounters(client, report)).toEqual([]);

  const [integer, float] = ["integer", "float"].map(
    (form) => report.counters.find((counter) => counter.form === form)?.key ?? "",
  );
  const [first, second, third] = report.counters
    .filter(({ form, value }) => form === "ledger" && value > 3)
    .map(({ key }) => key);
  await client.incr(integer ?? "");
  await client.incrbyfloat(float ?? "", -0.25);
  await client.rpop(first ?? "");
  await client.linsert(second ?? "", "AFTER", "a2:2", "a2:2");
  await client.lmove(third ?? "", third ?? "", "LEFT", "RIGHT");
  const wrong = await verifyCounters(client, report);
  const found = wrong.map((line) => line.split(/[,:] /)[1]);
  expect(new Set(found)).toEqual(new Set([integer, float, first, second, third]));
});
