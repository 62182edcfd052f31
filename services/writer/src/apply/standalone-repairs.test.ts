import { CommandFramer } from "@sluice/redis";
import type { Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { sliceOf } from "../project/unit-slice.sample.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import { wholeBatch } from "../repair/source-lane.sample.ts";
import { repairedValue } from "../repair/repair-book.ts";
import { runOf, singleUnits, type UnitRun } from "../repair/unit-runs.ts";
import { sampleForms } from "../snapshot/value-forms.sample.ts";
import { Request } from "./request.ts";
import type { StandaloneDestination } from "./standalone-destination.ts";
import { StandaloneRepairs, type RepairedLane } from "./standalone-repairs.ts";

const AT: Position = { epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 100, sequence: 1 };

/** Repairs of a lane at 100 whose key `list` is as it was at 200, and what is applied: ends of units, and what goes with them. */
function repairs() {
  const told = { read: [] as unknown[], applied: [] as unknown[] };
  const applyRuns = async (runs: readonly UnitRun[], next: Position, add?: (request: Request) => void): Promise<number> => {
    const request = new Request();
    add?.(request);
    const beside: string[] = [];
    const framer = new CommandFramer({}, Buffer.concat(request.finish()));
    while (framer.next()) beside.push(framer.buffer.toString("latin1", framer.argStart(0), framer.argEnd(0)));
    told.applied.push([next.offset, [...singleUnits(runs)].map(({ end }) => end), beside]);
    return Promise.resolve(0);
  };
  const repair = {
    policy: "repair",
    // The shard is in a later epoch already: its copy replaces them all.
    async *read(places: ReadonlySet<string>, epoch: number, atLeast: number) {
      if (places.size > 0) told.read.push([[...places], epoch, atLeast]);
      yield* [];
    },
  } as unknown as KeyRepair;
  const target = { name: "main", repaired: ["0:list", repairedValue(1, 200, "r")].map((text) => Buffer.from(text)) };
  const lane = { applyRuns } as unknown as RepairedLane;
  const options = { markKey: "mark", forms: sampleForms(), repair };
  return { told, made: new StandaloneRepairs(target as unknown as StandaloneDestination, lane, options, 1) };
}

// Mutations: standalone-repairs.ts, `#applyBarrier` without `#book.clear()` (the unit at 120 is passed over on an empty keyspace), without the DEL of
// the hash (the next writer would pass it over), or with images from before the barrier.
test("barrier-in-order: what is not read again from the source does not pass for repaired behind a barrier", async () => {
  const { told, made } = repairs();
  const slice = sliceOf([{ db: 0, line: "FLUSHDB" }], [{ db: 0, line: "RPUSH list c" }]);
  const batch = wholeBatch({ replid: "r", previous: 100, last: 120, rows: slice.rows, body: slice.body });
  await made.applyAround([runOf({ slice, batch, sequence: 2 })], { ...AT, offset: 120, sequence: 2 });
  expect(told.read).toEqual([[["0:list"], 1, 110]]);
  expect(told.applied).toEqual([
    [110, [110], ["DEL"]],
    [120, [120], []],
  ]);
});
