import { availableParallelism } from "node:os";
import { beforeAll, expect, test } from "vitest";
import { bundleWorlds } from "./bundle.ts";
import { MUTANTS } from "./mutants.ts";
import { runSeeds } from "./seed-farm.ts";

const SEEDS = 2_000;
/** A hole that is opened again must be noticed within so many worlds. */
const MUTANT_SEEDS = 1_000;
const all = { from: 1, jobs: availableParallelism(), options: {}, isLoud: false };

let program = "";

beforeAll(async () => {
  program = await bundleWorlds(null);
});

test("in simulated worlds everything comes right by itself, and nothing is applied twice or passed over", async () => {
  const { seeds, failures, commits } = await runSeeds(program, { ...all, count: SEEDS, isFirstEnough: false });
  expect(failures.map(({ seed, failure }) => `${seed}: ${failure}`)).toEqual([]);
  expect(seeds).toBe(SEEDS);
  expect(commits, "commits that were compared with the source's history").toBeGreaterThan(SEEDS * 10);
});

/** Those that only few worlds show are left to `npm run simulate -- --mutants`. */
const frequent = MUTANTS.filter(({ isRare }) => isRare !== true);

test.each(frequent.map((mutant) => [mutant.name, mutant] as const))("the simulator notices: %s", async (_, mutant) => {
  const options = mutant.worlds ?? {};
  const { failures } = await runSeeds(await bundleWorlds(mutant), {
    ...all,
    options,
    count: MUTANT_SEEDS,
    isFirstEnough: true,
  });
  expect(failures.length, mutant.what).toBeGreaterThan(0);
});
