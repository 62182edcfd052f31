import type { PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Run } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { EVEN_LAYOUT, OTHER_LAYOUT, Pair, type SideOptions } from "./pair.ts";

/** Every process of a deployment, in the order in which they are killed. */
const VICTIMS = ["ingest-1", "writer-1", "router-1", "coordinator-1", "nats-server"] as const;
const RATE = 3_000;

const standalone: SideOptions = { kind: "standalone" };
/** The other two mixes are among the topologies of the chaos runs. */
const mixes: readonly [name: string, source: SideOptions, destination: SideOptions][] = [
  ["standalone to standalone", standalone, standalone],
  [
    "cluster to cluster",
    { kind: "cluster", cluster: { layout: EVEN_LAYOUT } },
    { kind: "cluster", cluster: { layout: OTHER_LAYOUT } },
  ],
];

/** Bytes of the source's stream that are applied, over all shards and lanes. */
function applied(status: PipelineStatus): number {
  return status.lanes.reduce((sum, lane) => sum + lane.appliedOffset, 0);
}

test.each(mixes)(
  "applied-once, converges: %s, kill -9 of every process in the middle of the copy and again under live load, and it goes on by itself",
  async (_, source, destination) => {
    await using pair = await Pair.start(source, destination);
    await pair.preload(15_000, 21);
    // The source takes so long for each key of an RDB, in µs, that every kill finds a copy under way.
    await pair.setOnSource("rdb-key-save-delay", pair.sourceNodes.length > 1 ? "1500" : "500");
    const load = await pair.load(22, RATE);
    await using run = await Run.start(pair.pipeline("orders"));
    for (const victim of VICTIMS) {
      await run.status.until(
        "orders",
        `a copy is under way before ${victim} is killed`,
        ({ shards, lanes }) =>
          shards.some(({ phase, copied }) => phase === "copying" && copied.keys > 500) &&
          lanes.some(({ phase }) => phase !== "live"),
      );
      await run.killAndWait(victim);
    }
    await pair.setOnSource("rdb-key-save-delay", "0");
    const copied = await run.status.until("orders", "synchronizing", ({ state }) => state === "synchronizing");
    for (const victim of VICTIMS) {
      const before = applied(await run.status.get("orders"));
      await run.killAndWait(victim);
      await run.status.until(
        "orders",
        `applies again after ${victim} was killed`,
        (status) => applied(status) > before + 10_000,
      );
    }
    await expectIdentical("orders", pair, run.status, load);
    const epochs = (status: PipelineStatus): number[] => status.shards.map(({ epoch }) => epoch);
    expect(epochs(await run.status.get("orders")), "no kill under live load may cost another full copy").toEqual(
      epochs(copied),
    );
  },
);

test("Ctrl-C drains, and the same command resumes without another copy", async () => {
  await using pair = await Pair.start();
  await pair.preload(2_000, 31);
  const load = await pair.load(32, 1_000);
  await using run = await Run.start(pair.pipeline("orders"));
  await run.status.until("orders", "synchronizing", ({ state }) => state === "synchronizing");
  expect(await run.interrupt()).toBe(0);
  expect(run.logTail()).toContain("sluice run");
  await using resumed = await run.again();
  await resumed.status.until("orders", "synchronizing", ({ state }) => state === "synchronizing");
  await expectIdentical("orders", pair, resumed.status, load);
  expect((await resumed.status.get("orders")).shards[0]?.epoch).toBe(1);
});
