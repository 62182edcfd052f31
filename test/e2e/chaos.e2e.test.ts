import { expect, test } from "vitest";
import { runChaos } from "../chaos/chaos.ts";

/**
 * Four rounds: slots move; answers of the destination are lost; answers of the source are lost while a replica takes over at the
 * destination; the bus is killed, and a service. `npm run chaos -- --topology sc --seed 15062` goes on from there.
 */
const SEED = 15_062;
const ROUNDS = 4;

// Mutation: services/writer/src/cluster/cluster-marks.ts, `follow`: what a slot's mark says is not taken for applied.
test("applied-once: a short run of what a seed lets go wrong, one server to a cluster; it ends identical by itself", async () => {
  const report = await runChaos({
    topology: "sc",
    seed: SEED,
    seconds: 120,
    rounds: ROUNDS,
    ratePerSecond: 500,
    keys: 1500,
    services: { ingest: 1, writer: 2, router: 1, coordinator: 1 },
    longestCalmMs: 1500,
    only: "",
    print: () => undefined,
  });
  expect(report.wrong, report.journal.join("\n")).toEqual([]);
  expect(report.transitions).toBeGreaterThan(1000);
  expect(Object.keys(report.faults).length).toBe(6);
});
