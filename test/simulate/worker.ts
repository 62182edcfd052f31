import { replaceSignals } from "./world/abort-signals.ts";
import { replaceTimers } from "./world/virtual-time.ts";
import type { PlanOptions } from "./scenario/plan.ts";
import type { SeedResult } from "./scenario/run-seed.ts";

/** Asks a worker for the runs of some seeds. */
export interface WorkOrder {
  readonly from: number;
  readonly count: number;
  readonly options: PlanOptions;
  /** Stop at the first seed that fails. */
  readonly isFirstEnough: boolean;
  /** Print what the services log. */
  readonly isLoud: boolean;
}

/** A worker's answer: what failed, and figures over all of its seeds. */
export interface WorkDone {
  readonly seeds: number;
  readonly failures: readonly SeedResult[];
  readonly events: number;
  readonly commits: number;
  readonly faults: Readonly<Record<string, number>>;
}

// Connections break all the time in a world, and nobody reads where.
Error.stackTraceLimit = 4;
replaceTimers();
replaceSignals();
const { runPlan } = await import("./scenario/run-seed.ts");
const { planOf } = await import("./scenario/plan.ts");
const { createLog } = await import("@sluice/runtime");

async function work({ from, count, options, isFirstEnough, isLoud }: WorkOrder): Promise<WorkDone> {
  const failures: SeedResult[] = [];
  const faults: Record<string, number> = {};
  let seeds = 0;
  let events = 0;
  let commits = 0;
  for (let seed = from; seed < from + count; seed++) {
    const plan = planOf(seed, options);
    const result = await runPlan(plan, isLoud ? createLog("world", String(seed), "debug") : undefined);
    seeds++;
    events += result.events;
    commits += result.commits;
    for (const { kind } of plan.faults) faults[kind] = (faults[kind] ?? 0) + 1;
    if (isLoud) process.stderr.write(`${JSON.stringify(result, null, 2)}\n`);
    if (result.failure === null) continue;
    failures.push(result);
    if (isFirstEnough) break;
  }
  return { seeds, failures, events, commits, faults };
}

async function answer(order: WorkOrder): Promise<void> {
  try {
    const done = await work(order);
    process.send?.(done);
  } catch (cause) {
    process.stderr.write(`${cause instanceof Error ? cause.stack : String(cause)}\n`);
    process.exit(1);
  }
}

process.on("message", (order: WorkOrder) => void answer(order));
