import type { Redis } from "ioredis";
import { setTimeout as sleep } from "node:timers/promises";
import { openClient } from "../servers/open-client.ts";
import type { Command } from "./command.ts";
import { CounterBook, type CounterExpectation } from "./counter-book.ts";
import { defaultWeights, makeStep, preparation, type StepFamily } from "./make-step.ts";
import { Pacer } from "./pacer.ts";
import { runPipeline, type Reply } from "./pipeline.ts";
import { Random, WeightedChoice } from "./random.ts";
import { StepSource, type Step } from "./step-source.ts";

const TICK_MS = 10;
/** Commands without a reply; above it the workload waits and falls behind its rate. */
const MAX_COMMANDS_IN_FLIGHT = 10_000;
const MAX_ERROR_SAMPLES = 20;

export interface WorkloadOptions {
  readonly url: string;
  /** Print it: the same seed and options give the same commands, apart from absolute expiry times. */
  readonly seed: number;
  /** Commands per second over all databases; MULTI and EXEC count. */
  readonly ratePerSecond: number;
  /** Default: database 0 only. */
  readonly databases?: readonly number[];
  /** Keys of each kind and database that are written to; default 500. They are the first ones that `preload` creates. */
  readonly keysPerKind?: number;
  /** All keys of a command, transaction or script share a hash tag, as a cluster demands. Default false. */
  readonly singleSlot?: boolean;
  /** Replaces single weights of `defaultWeights`; 0 leaves a family out, also inside transactions. */
  readonly weights?: Partial<Readonly<Record<StepFamily, number>>>;
}

export interface WorkloadReport {
  /** Commands answered, errors included. */
  readonly commands: number;
  /** Time that the load ran, pauses excluded. */
  readonly seconds: number;
  readonly rate: number;
  /** Error replies and lost replies; none is expected, and with any the counters may be off. */
  readonly errors: number;
  /** The first of them, with the command. */
  readonly errorSamples: readonly string[];
  /** See `verifyCounters`. */
  readonly counters: readonly CounterExpectation[];
}

interface Lane {
  readonly db: number;
  readonly client: Redis;
  readonly source: StepSource;
}

/**
 * A steady mixed load on one server: every data type, transactions, scripts, expiries, renames and copies, and counters and
 * lists of numbered elements whose right content is known without reading any server (they show a lost or doubled command even
 * where two servers agree). One connection and one random sequence per database; pipelined in ticks of 10 ms.
 */
export class Workload implements AsyncDisposable {
  readonly #options: WorkloadOptions;
  readonly #families: WeightedChoice<StepFamily>;
  readonly #pacer: Pacer;
  readonly #book = new CounterBook();
  readonly #errorSamples: string[] = [];
  #lanes: Lane[] = [];
  #isRunning = false;
  #loop: Promise<void> = Promise.resolve();
  #inFlight = new Set<Promise<void>>();
  #commandsInFlight = 0;
  #commands = 0;
  #errors = 0;
  #activeMs = 0;

  /** @throws RangeError for a rate or weights that can't be */
  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#families = new WeightedChoice({ ...defaultWeights, ...options.weights });
    this.#pacer = new Pacer(options.ratePerSecond);
  }

  /** Connects, removes what an earlier run with this seed counted, and starts; after `pause` it goes on. */
  async start(): Promise<void> {
    if (this.#isRunning) return;
    if (this.#lanes.length === 0) await this.#connect();
    this.#isRunning = true;
    this.#loop = this.#run();
  }

  /** Resolves when nothing is sent any more and every reply is in. */
  async pause(): Promise<void> {
    this.#isRunning = false;
    await this.#loop;
    await Promise.all(this.#inFlight);
  }

  /** Pauses for good, disconnects and reports. */
  async stop(): Promise<WorkloadReport> {
    await this.pause();
    for (const lane of this.#lanes) lane.client.disconnect();
    this.#lanes = [];
    return this.report();
  }

  /** The figures so far; the counters are exact only while it is paused. */
  report(): WorkloadReport {
    const seconds = this.#activeMs / 1000;
    return {
      commands: this.#commands,
      seconds,
      rate: seconds === 0 ? 0 : this.#commands / seconds,
      errors: this.#errors,
      errorSamples: [...this.#errorSamples],
      counters: this.#book.expectations(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #connect(): Promise<void> {
    const { url, seed, databases = [0], keysPerKind = 500, singleSlot = false } = this.#options;
    this.#lanes = databases.map((db, place) => {
      const random = new Random(seed + place * 7919);
      return {
        db,
        client: openClient(url, db),
        source: new StepSource({ random, actor: `a${seed}`, keysPerKind, singleSlot }),
      };
    });
    for (const lane of this.#lanes) {
      const failure = (await runPipeline(lane.client, preparation(lane.source))).find((reply) => reply instanceof Error);
      if (failure !== undefined) throw new Error(`workload: can't prepare database ${lane.db} of ${url}`, { cause: failure });
    }
  }

  async #run(): Promise<void> {
    let lastMs = performance.now();
    this.#pacer.take(lastMs);
    while (this.#isRunning) {
      await sleep(TICK_MS);
      const nowMs = performance.now();
      this.#activeMs += nowMs - lastMs;
      lastMs = nowMs;
      if (this.#commandsInFlight > MAX_COMMANDS_IN_FLIGHT) this.#pacer.pause();
      else this.#tick(this.#pacer.take(nowMs));
    }
    this.#pacer.pause();
  }

  #tick(due: number): void {
    let left = due;
    for (const [place, lane] of this.#lanes.entries()) {
      const share = Math.round(left / (this.#lanes.length - place));
      const steps: Step[] = [];
      let count = 0;
      while (count < share) {
        const step = makeStep(lane.source, this.#families);
        steps.push(step);
        count += step.commands.length;
      }
      left -= count;
      if (steps.length === 0) continue;
      const sending = this.#send(lane, steps, count).finally(() => this.#inFlight.delete(sending));
      this.#inFlight.add(sending);
    }
    if (left < 0) this.#pacer.overdrawn(-left);
  }

  async #send(lane: Lane, steps: readonly Step[], count: number): Promise<void> {
    this.#commandsInFlight += count;
    const replies = await runPipeline(
      lane.client,
      steps.flatMap((step) => step.commands),
    );
    this.#commandsInFlight -= count;
    this.#commands += count;
    let position = 0;
    for (const step of steps) {
      const errorsBefore = this.#errors;
      for (const command of step.commands) this.#judge(lane.db, command, replies[position++] ?? null);
      if (this.#errors === errorsBefore) for (const effect of step.effects) this.#book.add(lane.db, effect);
    }
  }

  #judge(db: number, command: Command, reply: Reply): void {
    const [name] = command;
    let failure = reply instanceof Error ? reply.message : undefined;
    if (name === "EXEC" && reply === null) failure = "aborted";
    if (name === "EXEC" && Array.isArray(reply)) failure = reply.find((inner) => inner instanceof Error)?.message;
    if (failure === undefined) return;
    this.#errors++;
    if (this.#errorSamples.length < MAX_ERROR_SAMPLES) {
      this.#errorSamples.push(`db ${db}: ${command.slice(0, 6).map(String).join(" ").slice(0, 200)}: ${failure}`);
    }
  }
}
