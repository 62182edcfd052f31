import type { LaneStream, Leases, Records } from "@sluice/bus";
import { Crew, Retryable, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import { leaseRecord, recordFilter, recordKey, type MemoryRecord, type OpenWindow } from "@sluice/wire";
import type { DeskDeps } from "./desk/desk-deps.ts";
import type { ActiveCoordinator } from "./api/api-server.ts";
import type { SourceView } from "./checkpoint/lane-lag.ts";
import { LeftRecords } from "./lifecycle/left-records.ts";
import { PipelineBook, type KnownPipeline } from "./lifecycle/pipeline-book.ts";
import { PipelineLife } from "./lifecycle/pipeline-life.ts";
import { RestingLife } from "./lifecycle/resting-life.ts";

const LOOK_EVERY_MS = 250;
/** Who takes the lease later than this after the bus came back leaves it to those before to have counted. */
const BACK_FOR_MS = 15_000;
const LEASE = "coordinator";
/** How long the records may take to be read, and how often that is looked at. */
const READ_LIMIT_MS = 10_000;
const READ_POLL_MS = 20;

export interface CoordinatorDeps {
  readonly records: Records;
  readonly leases: Leases;
  readonly streamOf: (pipeline: string) => LaneStream;
  readonly busFacts: DeskDeps["busFacts"];
  readonly secretKey: Buffer | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Runs the lives of all pipelines while it holds the lease; others stand by. What it knows it reads from records each time.
 *
 * How long the bus is away nobody can write down: every coordinator counts that for itself, and the one that takes the lease when it is
 * back tells the pipelines.
 */
export class CoordinatorService implements Actor {
  readonly name = "coordinator";
  readonly #deps: CoordinatorDeps;
  #term: CoordinatorTerm | null = null;
  /** Since when the bus is missed, on the monotonic clock; null while it is there. */
  #busMissedAtMs: number | null = null;

  constructor(deps: CoordinatorDeps) {
    this.#deps = deps;
  }

  /** Null while this one stands by. */
  get active(): ActiveCoordinator | null {
    return this.#term;
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const busAwayMs = await this.#heardBus();
    const backAtMs = this.#deps.clock.monotonicMs();
    const lease = await this.#deps.leases.acquire(LEASE, signal);
    if (lease === null) return;
    const isRecent = this.#deps.clock.monotonicMs() - backAtMs < BACK_FOR_MS;
    const ending = new AbortController();
    const end = (): void => ending.abort();
    signal.addEventListener("abort", end, { once: true });
    lease.lost.addEventListener("abort", end, { once: true });
    try {
      if (signal.aborted || lease.lost.aborted) end();
      this.#term = new CoordinatorTerm(this.#deps, isRecent ? busAwayMs : 0);
      await this.#term.run(ending.signal, progress);
    } finally {
      this.#term = null;
      signal.removeEventListener("abort", end);
      await lease.release();
    }
    if (lease.lost.aborted && !signal.aborted) {
      throw new Retryable("BUS-001", "bus", "the lease of the coordinator could not be kept; standing by");
    }
  }

  retrying(fault: Fault): void {
    if (fault.code === "BUS-001") this.#busMissedAtMs ??= this.#deps.clock.monotonicMs();
  }

  /** How long the bus was missed; 0 where it was not. Throws `Retryable` BUS-001 while it is. */
  async #heardBus(): Promise<number> {
    const { records, clock } = this.#deps;
    await records.get(recordKey.lease(LEASE), leaseRecord);
    const missedAtMs = this.#busMissedAtMs;
    this.#busMissedAtMs = null;
    return missedAtMs === null ? 0 : clock.monotonicMs() - missedAtMs;
  }
}

function isStopped({ spec }: KnownPipeline): boolean {
  return spec?.value.desired === "stopped";
}

/** Nothing is left to do for it but to count how long it rests, and nothing to be told of it. */
function isOver({ spec, state, cutover }: KnownPipeline): boolean {
  const phase = cutover?.value.phase ?? "cancelled";
  if (spec?.value.desired === "created") return state?.value.state === "created" && phase === "cancelled";
  if (spec?.value.desired === "cut-over") return state?.value.state === "cut-over" && phase === "done";
  return spec?.value.desired === "stopped" && state?.value.state === "stopped" && phase === "cancelled";
}

type Life = [name: string, create: () => Actor];

/** The time from taking the lease to losing it or giving it back. */
class CoordinatorTerm implements ActiveCoordinator {
  readonly book: PipelineBook;
  readonly #deps: CoordinatorDeps;
  readonly #crew: Crew;
  readonly #lives = new Map<string, PipelineLife>();
  readonly #busAwayMs: number;

  constructor(deps: CoordinatorDeps, busAwayMs: number) {
    this.#deps = deps;
    this.#busAwayMs = busAwayMs;
    this.book = new PipelineBook(deps.clock);
    this.#crew = new Crew(deps.clock, deps.log);
  }

  sourcesOf(pipeline: string): ReadonlyMap<string, SourceView> {
    return this.#lives.get(pipeline)?.sources ?? new Map<string, SourceView>();
  }

  openWindowsOf(pipeline: string): readonly OpenWindow[] {
    return this.#lives.get(pipeline)?.openWindows ?? [];
  }

  alarmsOf(pipeline: string): MemoryRecord["alarms"] {
    return this.book.get(pipeline)?.memory?.value.alarms ?? [];
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const { records, clock, log } = this.#deps;
    const beganAtMs = clock.monotonicMs();
    const told = new Set<string>();
    const unwatch = records.watch(recordFilter.pipelines, (change) => {
      told.add(change.key);
      try {
        this.book.take(change);
      } catch (cause) {
        log.error(
          { key: change.key, revision: change.revision, cause: String(cause) },
          "a record can't be read; left as it was",
        );
      }
    });
    try {
      await this.#read(told, signal);
      while (!signal.aborted) {
        const wanted = this.book.all.filter((known) => !isOver(known)).map(({ name }) => name);
        const resting = this.book.all.filter((known) => isOver(known) && isStopped(known));
        const lives = new Map<string, () => Actor>([
          ...wanted.map((name): Life => [name, () => this.#createLife(name, clock.monotonicMs() - beganAtMs)]),
          ...resting.map((known): Life => [`${known.name} at rest`, () => new RestingLife(known, this.#deps)]),
          ...this.book.left.map((name): Life => [`what is left of ${name}`, () => new LeftRecords(name, this.#deps)]),
        ]);
        this.#crew.keep(new Set(lives.keys()), (life) => lives.get(life)!());
        for (const name of this.#lives.keys()) if (!wanted.includes(name)) this.#lives.delete(name);
        progress();
        await clock.sleep(LOOK_EVERY_MS, signal);
      }
    } finally {
      unwatch();
      await this.#crew.stop();
    }
  }

  /** Waits until the watch has told of every record that is there: half of them say something else than all. */
  async #read(told: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const { records, clock, log } = this.#deps;
    const keys = await records.keys(recordFilter.pipelines);
    const untilMs = clock.monotonicMs() + READ_LIMIT_MS;
    while (!signal.aborted && !keys.every((key) => told.has(key))) {
      if (clock.monotonicMs() > untilMs)
        return log.warn({ keys: keys.length }, "records are slow to read; going on by those that are known");
      await clock.sleep(READ_POLL_MS, signal);
    }
  }

  /** `sinceMs`: of this term. A pipeline that came later has not been there to miss the bus. */
  #createLife(name: string, sinceMs: number): PipelineLife {
    const known = this.book.get(name);
    if (known === null) throw new Error(`pipeline ${name} is not in the book`);
    const { records, streamOf, busFacts, secretKey, clock, log } = this.#deps;
    const deps = { records, stream: streamOf(name), busFacts, secretKey, clock, log };
    const life = new PipelineLife(known, deps, sinceMs < BACK_FOR_MS ? this.#busAwayMs : 0);
    this.#lives.set(name, life);
    return life;
  }
}
