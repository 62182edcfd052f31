import { expect, test } from "vitest";
import { compareDeployments } from "../compare/compare-deployments.ts";
import { replicasOf } from "../servers/oracle-replicas.ts";
import { RedisCluster } from "../servers/redis-cluster.ts";
import type { RedisServer } from "../servers/redis-server.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { preload } from "./preload.ts";
import { placedKey } from "./slot-places.ts";
import { verifyCounters } from "./verify-counters.ts";
import { Workload } from "./workload.ts";

/** Resolves when that many more commands have been answered. */
async function more(workload: Workload, commands: number): Promise<void> {
  const goal = workload.report().commands + commands;
  await waitUntil("the load goes on", () => workload.report().commands > goal);
}

test("a load of 5000/s on a cluster goes on, exactly counted, while slots move and primaries change", async () => {
  await using cluster = await RedisCluster.start({ replicas: 1 });
  const [first, second, third] = cluster.nodes as [RedisServer, RedisServer, RedisServer];
  const made = await preload(cluster, { keys: 30_000, seed: 51 });
  expect(made.keys).toBe(30_000);
  const held = await Promise.all([first, second, third].map((node) => node.client().dbsize()));
  expect(held.reduce((sum, keys) => sum + keys)).toBe(30_000);
  expect(Math.min(...held)).toBeGreaterThan(9000);
  const client = cluster.client();
  expect(await client.llen(String(placedKey("list", 1100)))).toBe(12_000);
  expect(await client.hlen(String(placedKey("hash", 1100)))).toBe(6000);
  await using oracle = await replicasOf(cluster);

  const target = { url: cluster.url, urls: cluster.urls, cluster: true };
  await using workload = new Workload({ ...target, seed: 51, ratePerSecond: 5000, weights: { transactions: 8, keyspace: 20 } });
  await workload.start();
  await more(workload, 6000);
  const quiet = workload.report();
  expect(quiet).toMatchObject({ errorSamples: [], lost: 0, redirects: 0 });
  expect(quiet.rate).toBeGreaterThan(4000);

  await cluster.moveSlots(600, first, second);
  await cluster.reshard(third, first, 200);
  const half = await cluster.moveHalf(0, first);
  await more(workload, 3000);
  await half.finish();
  expect(workload.report().redirects).toBeGreaterThan(10);
  await cluster.failover(second);
  await more(workload, 3000);

  await workload.pause();
  const report = workload.report();
  expect(report).toMatchObject({ errorSamples: [], errors: 0, lost: 0 });
  expect(report.counters.length).toBeGreaterThan(300);
  expect(await verifyCounters(cluster, report)).toEqual([]);
  await oracle.sync();
  const { differences, keys } = await compareDeployments(oracle.servers, cluster, { source: cluster });
  expect(differences).toEqual([]);
  expect(keys).toBeGreaterThan(25_000);

  await workload.start();
  await cluster.killPrimary(third);
  await more(workload, 3000);
  expect(await workload.stop()).toMatchObject({ errorSamples: [], errors: 0 });
});

test("commands whose connection is lost are in doubt, and nothing else is", async () => {
  await using cluster = await RedisCluster.start({ primaries: 2 });
  const [first] = cluster.nodes as [RedisServer];
  const weights = { counters: 200, ledgers: 200 };
  const target = { url: cluster.url, cluster: true };
  await using workload = new Workload({ ...target, seed: 52, ratePerSecond: 8000, weights });
  await workload.start();
  const client = first.client();
  await waitUntil("replies were lost", async () => {
    await client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await more(workload, 200);
    return workload.report().counters.filter(({ doubt }) => doubt !== undefined).length > 4;
  });
  const report = await workload.stop();
  expect(report).toMatchObject({ errorSamples: [], errors: 0 });
  expect(report.lost).toBeGreaterThan(4);
  expect(await verifyCounters(cluster, report)).toEqual([]);

  const counter = report.counters.find(({ form, doubt }) => form === "integer" && doubt === undefined);
  await cluster.client().incr(counter?.key ?? "");
  expect(await verifyCounters(cluster, report)).toEqual([expect.stringContaining(`expected ${counter?.value}, found`)]);
});
