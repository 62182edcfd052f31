import { RedisServer } from "@sluice/testkit";
import { formatMark, laneMarkKey, parseMark, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import type { KeyRepair } from "../repair/key-repair.ts";
import { sampleForms } from "../snapshot/value-forms.sample.ts";
import { StandaloneDestination } from "./standalone-destination.ts";
import { StandaloneLane } from "./standalone-lane.ts";

const MARK = laneMarkKey("x", "p", "main", "s0", 0);
const signal = new AbortController().signal;

async function open(server: RedisServer): Promise<StandaloneLane> {
  const endpoint = { host: "127.0.0.1", port: server.port };
  const target = await StandaloneDestination.open("main", endpoint, MARK, signal);
  const options = { label: "main.s0.0", markKey: MARK, endpoint, owns: () => true, isSole: true, signal };
  const repair = { policy: "halt" } as KeyRepair;
  return new StandaloneLane(target, { ...options, repair, attempts: `${MARK}:tmp`, forms: sampleForms(), shift: (ms) => ms });
}

// Mutation: standalone-lane.ts, `nextMark` with `highest` always `next`: the mark goes back to entry 2 while the copy is written again from there.
test("marks-only-grow: entries of a copy whose replies nobody read are written again, and the mark stays where they end", async () => {
  await using server = await RedisServer.start();
  const copying: Position = { epoch: 1, copy: 1, phase: "snap", shard: "s0", offset: 5, sequence: 5 };
  await server.client().set(MARK, formatMark({ ...copying, judged: { offset: 1, sequence: 1 } }));
  const lane = await open(server);
  expect(lane.position).toEqual({ ...copying, offset: 1, sequence: 1 });
  const marks: Position[] = [];
  for (const at of [2, 5, 6]) {
    await lane.applyValues([], { ...copying, offset: at, sequence: at });
    marks.push(parseMark((await server.client().get(MARK)) ?? ""));
  }
  expect(marks.map(({ offset, judged }) => [offset, judged?.offset])).toEqual([
    [5, 2],
    [5, undefined],
    [6, undefined],
  ]);
  lane.close();
});
