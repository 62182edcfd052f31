import { RedisServer } from "@sluice/testkit";
import type { PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Run } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { EVEN_LAYOUT, OTHER_LAYOUT, Pair } from "./pair.ts";

const NAME = "orders";
const RATE = 600;
const evenCluster = { kind: "cluster", cluster: { layout: EVEN_LAYOUT } } as const;
const otherCluster = { kind: "cluster", cluster: { layout: OTHER_LAYOUT } } as const;

const isSynchronizing = ({ state }: PipelineStatus): boolean => state === "synchronizing";

/** Bytes of the source's stream that a group has applied, over all shards and lanes. */
function applied(status: PipelineStatus, group: string): number {
  return status.lanes.filter((lane) => lane.group === group).reduce((sum, lane) => sum + lane.appliedOffset, 0);
}

function copiesOf(status: PipelineStatus, group: string): string[] {
  const lanes = status.lanes.filter((lane) => lane.group === group && lane.phase === "live");
  return [...new Set(lanes.map(({ shard, epoch, copy }) => `${shard} ${epoch}.${copy}`))].toSorted();
}

function isCopied(status: PipelineStatus, group: string): boolean {
  return status.groups.find((one) => one.group === group)?.isCopied === true;
}

function textsOf(status: PipelineStatus): string {
  return status.events.map(({ text }) => text).join("\n");
}

// Mutations: group-copies.ts, `#look` that copies for nobody: the group waits for ever; copy-plan.ts, a copy that is under way by the record left as
// it is: so it does behind the kill.
test("a group comes to a pipeline that runs, ingest is killed inside its copy, and the first group goes: the others never notice", async () => {
  await using pair = await Pair.start(evenCluster, otherCluster);
  await using server = await RedisServer.start();
  await pair.preload(4_000, 91);
  const load = await pair.load(92, RATE, { counters: 20, lists: 20 });
  const main = { group: "main", url: pair.destination.url };
  const second = { group: "second", url: server.url };
  // A copy of a shard takes seconds, so that what is seen of its begin comes before its end.
  const limits = { copyBytesPerSecond: "64KiB" };
  const pipeline = { name: NAME, source: { url: pair.source.url }, destinations: [main], limits };
  await using run = await Run.start(pipeline);
  const before = await run.status.until(NAME, "synchronizing", isSynchronizing);
  const dry = await run.status.put({ ...pipeline, destinations: [main, second] }, "?dryRun=true");
  expect(dry.answer).toContain("group second is added: it is copied anew");
  expect(await run.status.put({ ...pipeline, destinations: [main, second] })).toMatchObject({ code: 200 });
  const copying = await run.status.until(NAME, "the copy has begun", (status) => textsOf(status).includes("for second begun"));
  expect([isCopied(copying, "second"), isCopied(copying, "main")]).toEqual([false, true]);
  await run.killAndWait("ingest-1");
  const more = applied(await run.status.get(NAME), "main") + 20_000;
  const during = await run.status.until(NAME, "the first group goes on", (status) => applied(status, "main") > more);
  expect(isCopied(during, "second")).toBe(false);
  const after = await run.status.until(
    NAME,
    "the second group is copied",
    (status) => isCopied(status, "second") && isSynchronizing(status),
  );
  expect(copiesOf(after, "main")).toEqual(copiesOf(before, "main"));
  // Each shard's copy is of the epoch that there was, and the one that broke off has another number.
  const copies = copiesOf(after, "second");
  expect(copies).toHaveLength(3);
  expect(copies.every((copy) => Number(copy.split(".")[1]) >= 2)).toBe(true);
  expect(copies.some((copy) => Number(copy.split(".")[1]) >= 3)).toBe(true);

  const gone = await run.status.put({ ...pipeline, destinations: [second] });
  expect(gone).toMatchObject({ code: 200 });
  expect(gone.answer).toContain("its marks included");
  const without = await run.status.until(
    NAME,
    "the first group is gone",
    (status) => status.groups.length === 1 && isSynchronizing(status),
  );
  expect(copiesOf(without, "second")).toEqual(copies);
  await expectIdentical(NAME, pair, run.status, load, { destination: server });
});
