import { setTimeout as sleep } from "node:timers/promises";
import { openClient } from "../servers/open-client.ts";
import type { Command } from "./command.ts";
import { ClusterOutlet } from "./cluster-outlet.ts";
import { CounterBook, type CounterExpectation } from "./counter-book.ts";
import { defaultWeights, makeStep, preparation, type StepFamily } from "./make-step.ts";
import { Pacer } from "./pacer.ts";
import { isLost, ServerOutlet, type Outlet } from "./outlet.ts";
import type { Reply } from "./pipeline.ts";
import { Random, WeightedChoice } from "./random.ts";
import { StepSource, type Step } from "./step-source.ts";

const TICK_MS = 10;
/** Commands without a reply; above it the workload waits and falls behind its rate. */
const MAX_COMMANDS_IN_FLIGHT = 10_000;
const MAX_ERROR_SAMPLES = 20;

export interface WorkloadOptions {
  readonly url: string;
  /** The server of `url` is a node of a cluster: the load goes to all of it, with `singleSlot`. Default false. */
  readonly cluster?: boolean;
  /** More nodes of the cluster, in case the first one is down when it starts. */
  readonly urls?: readonly string[];
  /** See `ClusterEndpoint`. */
  readonly directPorts?: ReadonlyMap<number, number>;
  /** Print it: the same seed and options give the same commands, apart from absolute expiry times. */
  readonly seed: number;
  /** Commands per second over all databases; MULTI and EXEC count. */
  readonly ratePerSecond: number;
  /** Default: database 0 only. */
  readonly databases?: readonly number[];
  /**
   * Keys of each kind and database that are written to, the first ones that `preload` creates. Default 500, with `singleSlot`
   * 1024, which is the most there.
   */
  readonly keysPerKind?: number;
  /**
   * All keys of a command, transaction or script share a hash tag, as a cluster demands; also for a server whose content goes to
   * a cluster. Most of them lie in 128 slots, evenly spread, so that they meet; of the steps without counters, task streams and
   * transactions a fifth goes to all other slots. Default false.
   */
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
  /** Error replies; none is expected, and with any the counters may be off. */
  readonly errors: number;
  /** The first of them, with the command. */
  readonly errorSamples: readonly string[];
  /** Commands without a reply, because a connection was lost: what they did to counters is in doubt. */
  readonly lost: number;
  /** Answers of a cluster (MOVED, ASK, TRYAGAIN, CLUSTERDOWN) and missing connections that made it send something again. */
  readonly redirects: number;
  /** See `verifyCounters`. After the failure of a primary they count what was answered, replicated or not. */
  readonly counters: readonly CounterExpectation[];
}

interface Lane {
  readonly db: number;
  readonly outlet: Outlet;
  readonly source: StepSource;
}

/**
 * A steady mixed load on one server or cluster: every data type, transactions, scripts, expiries, renames and copies, and counters and
 * lists of numbered elements whose right content is known without reading any server (they show a lost or doubled command even
 * where two servers agree). One connection (to each node) and one random sequence per database; pipelined in ticks of 10 ms.
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
  #lost = 0;
  #redirects = 0;
  #activeMs = 0;

  /** @throws RangeError for a rate, weights or databases that can't be */
  constructor(options: WorkloadOptions) {
    if (options.cluster === true && options.databases?.some((db) => db !== 0) === true) {
      throw new RangeError(`a cluster has database 0 only, not ${options.databases.join(", ")}`);
    }
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
    this.#redirects = this.#sumOfRedirects();
    for (const lane of this.#lanes) lane.outlet.close();
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
      lost: this.#lost,
      redirects: this.#sumOfRedirects(),
      counters: this.#book.expectations(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #connect(): Promise<void> {
    const { url, seed, databases = [0], cluster = false } = this.#options;
    const singleSlot = this.#options.singleSlot ?? cluster;
    const keysPerKind = this.#options.keysPerKind ?? (singleSlot ? 1024 : 500);
    if (cluster && !singleSlot) throw new RangeError("a load on a cluster can't be without singleSlot");
    for (const [place, db] of databases.entries()) {
      const random = new Random(seed + place * 7919);
      const source = new StepSource({ random, actor: `a${seed}`, keysPerKind, singleSlot });
      this.#lanes.push({ db, outlet: await this.#openOutlet(db), source });
    }
    for (const lane of this.#lanes) {
      let failure: Reply | undefined;
      await lane.outlet.send(preparation(lane.source), (_, replies) => {
        failure ??= replies.find((reply) => reply instanceof Error);
      });
      if (failure !== undefined) throw new Error(`workload: can't prepare database ${lane.db} of ${url}`, { cause: failure });
    }
  }

  async #openOutlet(db: number): Promise<Outlet> {
    const { url, urls = [], cluster = false, directPorts = new Map() } = this.#options;
    return cluster ? ClusterOutlet.open({ cluster, url, urls, directPorts }) : new ServerOutlet(openClient(url, db));
  }

  #sumOfRedirects(): number {
    return this.#lanes.reduce((sum, { outlet }) => sum + outlet.redirects, this.#redirects);
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
      const sending = this.#send(lane, steps).finally(() => this.#inFlight.delete(sending));
      this.#inFlight.add(sending);
    }
    if (left < 0) this.#pacer.overdrawn(-left);
  }

  async #send(lane: Lane, steps: readonly Step[]): Promise<void> {
    this.#commandsInFlight += steps.reduce((sum, step) => sum + step.commands.length, 0);
    await lane.outlet.send(steps, (step, replies) => this.#account(lane.db, step, replies));
  }

  #account(db: number, step: Step, replies: readonly Reply[]): void {
    this.#commandsInFlight -= step.commands.length;
    this.#commands += step.commands.length;
    const lost = replies.filter(isLost).length;
    this.#lost += lost;
    const errorsBefore = this.#errors;
    for (const [place, command] of step.commands.entries()) this.#judge(db, command, replies[place] ?? null);
    if (this.#errors > errorsBefore) return;
    for (const effect of step.effects) {
      if (lost > 0) this.#book.addDoubtful(db, effect);
      else this.#book.add(db, effect);
    }
  }

  #judge(db: number, command: Command, reply: Reply): void {
    const [name] = command;
    let failure = reply instanceof Error && !isLost(reply) ? reply.message : undefined;
    if (name === "EXEC" && reply === null) failure = "aborted";
    if (name === "EXEC" && Array.isArray(reply)) failure = reply.find((inner) => inner instanceof Error)?.message;
    if (failure === undefined) return;
    this.#errors++;
    if (this.#errorSamples.length < MAX_ERROR_SAMPLES) {
      this.#errorSamples.push(`db ${db}: ${command.slice(0, 6).map(String).join(" ").slice(0, 200)}: ${failure}`);
    }
  }
}
