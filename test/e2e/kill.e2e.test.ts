import { preload, Workload } from "@sluice/testkit";
import { expect, test } from "vitest";
import { Run, Servers } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";

/** Every process of a deployment, in the order in which they are killed. */
const VICTIMS = ["ingest-1", "writer-1", "router-1", "coordinator-1", "nats-server"] as const;
const RATE = 3_000;

function pipelineOf(servers: Servers) {
  return { name: "orders", source: { url: servers.source.url }, destinations: [{ url: servers.destination.url }] };
}

test("applied-once: kill -9 of every process in the middle of live load, and it goes on by itself", async () => {
  await using servers = await Servers.start();
  await preload(servers.source.client(), { keys: 5_000, databases: [0, 1], seed: 11 });
  const load = new Workload({ url: servers.source.url, seed: 12, ratePerSecond: RATE, databases: [0, 1] });
  load.start();
  await using run = await Run.start(pipelineOf(servers));
  await run.status.until("orders", "synchronizing", ({ state }) => state === "synchronizing");
  for (const victim of VICTIMS) {
    const before = (await run.status.get("orders")).lanes[0]?.appliedOffset ?? 0;
    await run.killAndWait(victim);
    await run.status.until("orders", `applies again after ${victim} was killed`, ({ lanes }) => (lanes[0]?.appliedOffset ?? 0) > before + 10_000);
  }
  await expectIdentical("orders", servers, run.status, load);
  const status = await run.status.get("orders");
  expect(status.shards[0]?.epoch, "no kill may cost a second full copy").toBe(1);
});

test("converges: kill -9 of every process in the middle of the copy, and it goes on or starts over by itself", async () => {
  // The source takes so long for each key of an RDB, in µs, that every kill finds the copy under way.
  await using servers = await Servers.start({ "rdb-key-save-delay": "0" });
  await preload(servers.source.client(), { keys: 20_000, databases: [0, 1], seed: 21 });
  await servers.source.client().config("SET", "rdb-key-save-delay", "200");
  const load = new Workload({ url: servers.source.url, seed: 22, ratePerSecond: RATE, databases: [0, 1] });
  load.start();
  await using run = await Run.start(pipelineOf(servers));
  for (const victim of VICTIMS) {
    await run.status.until(
      "orders",
      `the copy is under way before ${victim} is killed`,
      ({ shards, lanes }) => shards[0]?.phase === "copying" && lanes[0]?.phase !== "live" && (shards[0]?.copied.keys ?? 0) > 1_000,
    );
    await run.killAndWait(victim);
  }
  await servers.source.client().config("SET", "rdb-key-save-delay", "0");
  await run.status.until("orders", "synchronizing", ({ state }) => state === "synchronizing", 90_000);
  await expectIdentical("orders", servers, run.status, load);
});

test("Ctrl-C drains, and the same command resumes without another copy", async () => {
  await using servers = await Servers.start();
  await preload(servers.source.client(), { keys: 2_000, databases: [0, 1], seed: 31 });
  const load = new Workload({ url: servers.source.url, seed: 32, ratePerSecond: 1_000, databases: [0, 1] });
  load.start();
  await using run = await Run.start(pipelineOf(servers));
  await run.status.until("orders", "synchronizing", ({ state }) => state === "synchronizing");
  expect(await run.interrupt()).toBe(0);
  expect(run.logTail()).toContain("sluice run");
  await using resumed = await run.again();
  await resumed.status.until("orders", "synchronizing", ({ state }) => state === "synchronizing");
  await expectIdentical("orders", servers, resumed.status, load);
  expect((await resumed.status.get("orders")).shards[0]?.epoch).toBe(1);
});
