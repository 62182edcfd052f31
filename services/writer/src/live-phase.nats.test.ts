import { waitUntil } from "@sluice/testkit";
import { ChangeRows } from "@sluice/wire";
import { beforeEach, expect, test } from "vitest";
import { LaneServers } from "./lane-servers.sample.ts";
import { WatchedLane } from "./watched-lane.sample.ts";

const servers = LaneServers.forThisFile();
const unit = (end: number, ...commands: readonly string[]) => ({ end, commands });

beforeEach(async () => servers.redis.client().flushall());

/** Starts a writer; resolves when the lane has asked for a copy. */
async function asksForCopy(lane: WatchedLane): Promise<void> {
  lane.write("standalone", servers.redis.port);
  await waitUntil("a copy is asked for", async () => (await lane.floorAsked()) === 1);
}

// Mutation: live-phase.ts, `run` without `throw failure`: the gap is forgotten, and the lane goes on as if it were in step.
test("loud: a gap that is stored right behind good batches is told once those are applied", async () => {
  await using lane = await WatchedLane.open(servers.bus);
  for (const at of [100, 110, 120]) await lane.changes(at, unit(at + 10, "INCR n"));
  await lane.changes(140, unit(150, "INCR n"));
  await asksForCopy(lane);
  expect(await servers.held()).toEqual(["n=3"]);
});

// Mutation: live-phase.ts, `#collect` does not throw at `regress`: the lane passes over all that comes with the lower term, for ever.
test("loud: where the fence of a lower term stands behind that of a higher one, a copy is asked for", async () => {
  await using lane = await WatchedLane.open(servers.bus);
  await lane.fence(1, 5, 100);
  await lane.changes(100, unit(110, "INCR n"));
  await lane.fence(1, 2, 110);
  await lane.changes(110, unit(120, "INCR n"));
  await asksForCopy(lane);
  expect(await servers.held()).toEqual(["n=1"]);
});

// Mutation: live-phase.ts, `#sliceOf` answers null: the unit is passed over, and nothing tells so while the source writes nothing more.
test("loud, unit-never-split: where a unit's last part is stored and its first ones are not, a copy is asked for", async () => {
  await using lane = await WatchedLane.open(servers.bus);
  await lane.changes(100, unit(110, "INCR n"));
  await lane.append({ previous: 110, last: 200, rows: new ChangeRows(1), part: { id: 110, index: 3, final: true } });
  await asksForCopy(lane);
  expect(await servers.held()).toEqual(["n=1"]);
});
