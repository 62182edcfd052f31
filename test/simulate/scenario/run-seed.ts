import type { Logger } from "@sluice/runtime";
import { MarkWatch, Violation } from "../oracle/mark-watch.ts";
import { World } from "../world/world.ts";
import { Faults } from "./faults.ts";
import { differences, Pair } from "./pair.ts";
import type { Plan } from "./plan.ts";
import { Workload } from "./workload.ts";

/** From the calm on, everything must be equal within this time, with nobody's help. */
const LIVENESS_MS = 60_000;
const LOOK_MS = 250;

export interface SeedResult {
  readonly seed: number;
  /** Null when nothing was wrong; else what was, on several lines. */
  readonly failure: string | null;
  readonly layout: string;
  readonly faults: readonly string[];
  readonly events: number;
  /** Virtual ms from the calm until both sides were equal. */
  readonly settledMs: number;
  /** Commits of the destination that were compared with the source's history. */
  readonly commits: number;
  readonly epochs: number;
}

/** Runs one world from its seed to its end. */
export async function runPlan(plan: Plan, log?: Logger): Promise<SeedResult> {
  const world = new World(plan.seed, log);
  const pair = new Pair(world, plan);
  const { scheduler } = world;
  let violation: Error | null = null;
  const watched = (look: () => void): void => {
    try {
      look();
    } catch (cause) {
      if (!(cause instanceof Violation)) throw cause;
      violation ??= cause;
    }
  };
  const watch = new MarkWatch(pair.watchOptions);
  pair.observe(watch, watched);
  pair.preload(plan.preloaded);
  const faults = new Faults(world, pair, plan);
  faults.schedule();
  startLoad(world, pair, plan);
  pair.writeSpec();
  for (let index = 1; index <= plan.ingests; index++) world.start("ingest", `ingest-${index}`);
  for (let index = 1; index <= plan.writers; index++) world.start("writer", `writer-${index}`);
  world.start("router", "router-1");
  await scheduler.run(plan.calmMs, () => violation !== null);
  faults.end();
  let differing: string[] = [];
  while (violation === null && scheduler.nowMs < plan.calmMs + LIVENESS_MS) {
    await scheduler.run(scheduler.nowMs + LOOK_MS, () => violation !== null);
    differing = pair.unfinished();
    if (differing.length === 0) differing = differences(pair);
    if (differing.length === 0) break;
  }
  const settledMs = scheduler.nowMs - plan.calmMs;
  world.end();
  const failure =
    (violation as Error | null)?.message ??
    (differing.length === 0
      ? null
      : ["not equal after the calm:", ...differing.slice(0, 8), ...pair.troubles(), ...world.deaths.slice(-3)].join("\n  "));
  return {
    seed: plan.seed,
    failure,
    layout: plan.layout,
    faults: faults.happened,
    events: scheduler.events,
    settledMs,
    commits: watch.commits,
    epochs: pair.epoch,
  };
}

function startLoad(world: World, pair: Pair, plan: Plan): void {
  const workload = new Workload(world.dice.fork(), pair.databases);
  const dice = world.dice.fork();
  const everyMs = plan.loadMs / plan.steps;
  const step = (): void => {
    if (world.scheduler.nowMs >= plan.loadMs) return;
    pair.execute(workload.next(world.clock.nowMs()));
    world.scheduler.after(dice.roll() * 2 * everyMs, null, step);
  };
  world.scheduler.after(0, null, step);
}
