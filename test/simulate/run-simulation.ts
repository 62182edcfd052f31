import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { bundleWorlds } from "./bundle.ts";
import { MUTANTS } from "./mutants.ts";
import { FAULT_KINDS, LAYOUTS, type FaultKind, type Layout, type PlanOptions } from "./scenario/plan.ts";
import type { SeedResult } from "./scenario/run-seed.ts";
import { runSeeds, type SeedReport } from "./seed-farm.ts";

/** A long run says so often how far it is. */
const PROGRESS_SEEDS = 1_000;
/** A mutant that lives through so many seeds was not found. */
const MUTANT_SEEDS = 3_000;

const HELP = `Runs the services of Sluice in simulated worlds, each of which follows from its seed.

  npm run simulate -- --seeds 10000            the code as it is: no seed may fail
  npm run simulate -- --mutants                each known hole opened again: each must be found
  npm run simulate -- --seed 4711 --log        one world, with all that its services say

  --seeds N      how many seeds (1000)          --from N     the first one (1)
  --layout "standalone to cluster"              only worlds of this layout
  --fault "kill"                                only faults of this kind, may be repeated
  --together     each --fault once, all at nearly the same time
  --busy         so much is written that lanes fall behind
  --patient      faults that last longer than leases do
  --mutant NAME                                 with this hole opened
  --jobs N       processes (all cores)          --log        print what the services log
`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    jobs: { type: "string", default: String(availableParallelism()) },
    layout: { type: "string", multiple: true },
    fault: { type: "string", multiple: true },
    mutant: { type: "string", multiple: true },
    mutants: { type: "boolean", default: false },
    together: { type: "boolean", default: false },
    busy: { type: "boolean", default: false },
    patient: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) refuse(`--${name} is ${text}; expected a whole number`);
  return Number(text);
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n\n${HELP}`);
  process.exit(2);
}

function known<T extends string>(name: string, given: readonly string[], among: readonly T[]): T[] {
  return given.map(
    (one) => among.find((other) => other === one) ?? refuse(`--${name} is ${one}; expected one of ${among.join(", ")}`),
  );
}

function planOptions(): PlanOptions {
  const layouts: Layout[] = known("layout", values.layout ?? [], LAYOUTS);
  const kinds: FaultKind[] = known("fault", values.fault ?? [], FAULT_KINDS);
  return {
    ...(layouts.length > 0 ? { layouts } : {}),
    ...(kinds.length > 0 ? { kinds } : {}),
    isTogether: values.together,
    isBusy: values.busy,
    isPatient: values.patient,
  };
}

function shown({ seed, layout, faults, failure }: SeedResult): string {
  return [`seed ${seed}, ${layout}:`, ...faults, failure].join("\n  ");
}

function summary({ seeds, events, commits, faults, seconds }: SeedReport): string {
  const each = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`);
  return `${seeds} seeds, ${events} events, ${commits} commits compared, in ${seconds.toFixed(1)} s; faults: ${each.join(", ")}`;
}

async function hunt(): Promise<boolean> {
  const names = values.mutant ?? [];
  const wanted = MUTANTS.filter(({ name }) => values.mutants || names.includes(name));
  for (const name of names) if (!wanted.some((mutant) => mutant.name === name)) refuse(`there is no mutant ${name}`);
  let isComplete = true;
  for (const mutant of wanted) {
    const program = await bundleWorlds(mutant);
    const report = await runSeeds(program, {
      from: wholeNumber("from", values.from),
      count: MUTANT_SEEDS,
      jobs: wholeNumber("jobs", values.jobs),
      options: { ...planOptions(), ...mutant.worlds },
      isFirstEnough: true,
      isLoud: false,
    });
    const [found] = report.failures;
    if (found === undefined) isComplete = false;
    const why = found?.failure?.split("\n").slice(0, 2).join(" ").slice(0, 160) ?? "";
    process.stdout.write(
      `${mutant.name}: ${found === undefined ? "NOT FOUND" : `found by seed ${found.seed}: ${why}`} (${report.seeds} seeds)\n`,
    );
  }
  process.stdout.write(`${wanted.length} mutants, ${isComplete ? "all found" : "NOT all found"}\n`);
  return isComplete;
}

async function search(): Promise<boolean> {
  const program = await bundleWorlds(null);
  const one = values.seed === undefined ? null : wholeNumber("seed", values.seed);
  let seeds = 0;
  const report = await runSeeds(program, {
    onPortion: (done) => {
      seeds += done.seeds;
      for (const failure of done.failures) process.stderr.write(`${shown(failure)}\n`);
      if (seeds % PROGRESS_SEEDS === 0) process.stderr.write(`${seeds} seeds\n`);
    },
    from: one ?? wholeNumber("from", values.from),
    count: one === null ? wholeNumber("seeds", values.seeds) : 1,
    jobs: one === null ? wholeNumber("jobs", values.jobs) : 1,
    options: planOptions(),
    isFirstEnough: false,
    isLoud: values.log,
  });
  process.stdout.write(`${summary(report)}\n`);
  process.stdout.write(report.failures.length === 0 ? "no seed failed\n" : `${report.failures.length} seeds failed\n`);
  return report.failures.length === 0;
}

if (values.help) process.stdout.write(HELP);
else {
  const isRight = values.mutants || values.mutant !== undefined ? await hunt() : await search();
  process.exitCode = isRight ? 0 : 1;
}
