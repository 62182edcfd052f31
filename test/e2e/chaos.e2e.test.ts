import { expect, test } from "vitest";
import { runChaos } from "../chaos/chaos.ts";

/** `npm run chaos -- --topology sc --seed 5 …` is the long form. */
const SEED = 5;

test("applied-once: a short run of what a seed lets go wrong, one server to a cluster; it ends identical by itself", async () => {
  const report = await runChaos({
    topology: "sc",
    seed: SEED,
    seconds: 20,
    rounds: 5,
    ratePerSecond: 500,
    keys: 1500,
    services: { ingest: 1, writer: 2, router: 1, coordinator: 1 },
    longestCalmMs: 1500,
    only: "",
    print: () => undefined,
  });
  expect(report.wrong, report.journal.join("\n")).toEqual([]);
  expect(report.transitions).toBeGreaterThan(1000);
  expect(Object.keys(report.faults).length).toBeGreaterThan(3);
});
