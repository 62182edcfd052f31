import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "@sluice/testkit";
import { faultsFor } from "./faults/all-faults.ts";
import type { Fault, Topology } from "./faults/fault.ts";
import { Journal } from "./journal.ts";
import { scheduleOf, type Round } from "./schedule.ts";
import { PIPELINE, Stage } from "./stage.ts";
import type { ServiceCounts } from "./supervised-services.ts";
import { verdictOf } from "./verdict.ts";

export interface ChaosOptions {
  readonly topology: Topology;
  /** Print it: it stands for the load and for every fault, in this order. */
  readonly seed: number;
  /** How long faults are begun. */
  readonly seconds: number;
  readonly ratePerSecond: number;
  readonly keys: number;
  readonly services: ServiceCounts;
  /** The longest time without a fault. */
  readonly longestCalmMs: number;
  /** Rounds at the most. */
  readonly rounds: number;
  /** Only faults whose names contain this. */
  readonly only: string;
  readonly print: (line: string) => void;
}

export interface ChaosReport {
  /** Empty when all was as it should be. */
  readonly wrong: readonly string[];
  readonly journal: readonly string[];
  /** How often each fault was applied. */
  readonly faults: Readonly<Record<string, number>>;
  readonly epoch: number;
  readonly commandsPerSecond: number;
  /** Of marks, on all servers of the destination together. */
  readonly transitions: number;
  /** See `MarkHistory`. */
  readonly watermarkSetBacks: number;
  readonly serviceRestarts: number;
  /** Where the logs of the services are; kept only when something was wrong. */
  readonly logDir: string;
}

/**
 * Runs a whole deployment under a load, lets go wrong what the seed says, and then looks whether the destination holds exactly
 * what the source holds, and whether every transition of a mark took place once. Nobody helps it meanwhile, but for a supervisor that
 * starts dead services again.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const journal = new Journal(options.print);
  const { topology, seed } = options;
  journal.note(`seed ${seed}, ${topology}, ${options.ratePerSecond} commands a second`);
  await using stage = await Stage.start(options);
  journal.note(
    `logs in ${stage.logDir}; source ${stage.source.url}, destination ${stage.destination.url}, bus ${stage.nats.url}`,
  );
  const counts = new Map<string, number>();
  const wrong = [...(await rounds(stage, options, journal, counts))];
  await stage.calm();
  journal.note("no more faults");
  wrong.push(...(await verdictOf(stage, topology, journal)));
  const { rate } = stage.load.report();
  for (const fault of wrong) journal.note(`WRONG: ${fault}`);
  if (wrong.length === 0) await rm(stage.logDir, { recursive: true, force: true });
  return {
    wrong,
    journal: journal.lines,
    faults: Object.fromEntries([...counts].toSorted(([a], [b]) => a.localeCompare(b))),
    epoch: Math.max(0, ...stage.recorders.map(({ history }) => history.epoch)),
    commandsPerSecond: Math.round(rate),
    transitions: stage.recorders.reduce((sum, { history }) => sum + history.transitions, 0),
    watermarkSetBacks: stage.recorders.reduce((sum, { history }) => sum + history.setBacks, 0),
    serviceRestarts: stage.services.restarts,
    logDir: stage.logDir,
  };
}

async function rounds(stage: Stage, options: ChaosOptions, journal: Journal, counts: Map<string, number>): Promise<string[]> {
  const faults = faultsFor(options.topology).filter(({ name }) => name.includes(options.only));
  const endMs = performance.now() + options.seconds * 1000;
  const halts = new HaltWatch(stage, journal);
  for (const round of scheduleOf(options.seed, faults, options.longestCalmMs)) {
    if (round.number > options.rounds || performance.now() + round.calmMs > endMs) break;
    await sleep(round.calmMs);
    for (const { fault } of round.faults) counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1);
    const failures = await applyRound(stage, round, journal);
    if (failures.length > 0) return failures;
    await halts.look();
  }
  return halts.seen;
}

/** Both faults of a round; what can't be done to servers of the test is a failure of the run. */
async function applyRound(stage: Stage, { number, faults }: Round, journal: Journal): Promise<string[]> {
  const outcomes = await Promise.allSettled(
    faults.map(async ({ fault, afterMs, seed }) => {
      await sleep(afterMs);
      const name = `${number}: ${fault.name}`;
      journal.note(`${name} …`);
      const told = await applied(fault, stage, seed);
      journal.note(`${name}: ${told}`);
    }),
  );
  return outcomes.flatMap((outcome, place) =>
    outcome.status === "fulfilled" ? [] : [`round ${number}, ${faults[place]?.fault.name}: ${String(outcome.reason)}`],
  );
}

async function applied(fault: Fault, stage: Stage, seed: number): Promise<string> {
  const told: string[] = [];
  await fault.run(stage, new Random(seed), (text) => void told.push(text));
  return told.join("; ");
}

/** No fault of a run is one that a lane or shard may stop for. */
class HaltWatch {
  readonly seen: string[] = [];
  readonly #stage: Stage;
  readonly #journal: Journal;

  constructor(stage: Stage, journal: Journal) {
    this.#stage = stage;
    this.#journal = journal;
  }

  async look(): Promise<void> {
    const status = await this.#stage.services.status.get(PIPELINE).catch(() => null);
    if (status === null) return;
    const { state, reason } = status;
    const places = [...status.shards, ...status.lanes].filter(({ halt }) => halt !== null).length;
    this.#journal.note(`        ${state}: ${reason}`);
    const told = `halted: ${places} places, ${reason}`;
    if (places > 0 && !this.seen.includes(told)) this.seen.push(told);
  }
}
