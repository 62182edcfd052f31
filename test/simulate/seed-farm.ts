import { fork, type ChildProcess } from "node:child_process";
import type { PlanOptions } from "./scenario/plan.ts";
import type { SeedResult } from "./scenario/run-seed.ts";
import type { WorkDone, WorkOrder } from "./worker.ts";

/** Seeds that a worker is given at a time. */
const PORTION = 50;
/**
 * A worker ends after so many portions, and another one takes its place: what a world might leave behind does not pile up for ever.
 * A new one is slow for its first hundred seeds, until Node has compiled what is often called.
 */
const MOST_PORTIONS = 60;
/** Most of what a world makes is short-lived, and threads that collect it would take the cores from other workers. */
const MEMORY = ["--max-semi-space-size=64", "--min-semi-space-size=32", "--single-threaded-gc"];

export interface SeedRange {
  readonly from: number;
  readonly count: number;
  /** Processes that work side by side. */
  readonly jobs: number;
  readonly options: PlanOptions;
  /** Stop when a seed has failed. */
  readonly isFirstEnough: boolean;
  readonly isLoud: boolean;
  /** Told of every portion that is done. */
  readonly onPortion?: (done: WorkDone) => void;
}

export interface SeedReport {
  readonly seeds: number;
  /** In the order of their seeds. */
  readonly failures: readonly SeedResult[];
  readonly events: number;
  readonly commits: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/** Runs worlds in several processes of `program`, each seed once. Rejects when a process breaks down. */
export async function runSeeds(program: string, range: SeedRange): Promise<SeedReport> {
  const { from, count, jobs, options, isFirstEnough, isLoud, onPortion } = range;
  const startedMs = performance.now();
  const done: WorkDone[] = [];
  let next = from;
  const isOver = (): boolean => next >= from + count || (isFirstEnough && done.some(({ failures }) => failures.length > 0));
  const work = async (): Promise<void> => {
    while (!isOver()) {
      const worker = fork(program, { execArgv: MEMORY, stdio: ["ignore", "inherit", "inherit", "ipc"] });
      try {
        for (let portions = 0; portions < MOST_PORTIONS && !isOver(); portions++) {
          const portion = Math.min(PORTION, from + count - next);
          const order: WorkOrder = { from: next, count: portion, options, isFirstEnough, isLoud };
          next += portion;
          const answer = await answerOf(worker, order);
          done.push(answer);
          onPortion?.(answer);
        }
      } finally {
        worker.kill();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, Math.ceil(count / PORTION)) }, work));
  const faults: Record<string, number> = {};
  for (const one of done) for (const [kind, times] of Object.entries(one.faults)) faults[kind] = (faults[kind] ?? 0) + times;
  const sum = (figure: "seeds" | "events" | "commits"): number => done.reduce((total, one) => total + one[figure], 0);
  return {
    seeds: sum("seeds"),
    failures: done.flatMap(({ failures }) => failures).toSorted((a, b) => a.seed - b.seed),
    events: sum("events"),
    commits: sum("commits"),
    faults,
    seconds: (performance.now() - startedMs) / 1_000,
  };
}

async function answerOf(worker: ChildProcess, order: WorkOrder): Promise<WorkDone> {
  return new Promise((resolve, reject) => {
    const range = `${order.from} to ${order.from + order.count - 1}`;
    const ended = (code: number | null): void => reject(new Error(`a worker ended with code ${code} among seeds ${range}`));
    worker.once("exit", ended);
    worker.once("message", (done: WorkDone) => {
      worker.off("exit", ended);
      resolve(done);
    });
    worker.send(order);
  });
}
