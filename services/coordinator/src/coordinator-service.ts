import type { LaneStream, Leases, Records } from "@sluice/bus";
import { Crew, Retryable, type Actor, type Clock, type Logger } from "@sluice/runtime";
import { recordFilter } from "@sluice/wire";
import type { ActiveCoordinator } from "./api/api-server.ts";
import type { SourceView } from "./checkpoint/lane-lag.ts";
import { PipelineBook, type KnownPipeline } from "./lifecycle/pipeline-book.ts";
import { PipelineLife } from "./lifecycle/pipeline-life.ts";

const LOOK_EVERY_MS = 250;

export interface CoordinatorDeps {
  readonly records: Records;
  readonly leases: Leases;
  readonly streamOf: (pipeline: string) => LaneStream;
  readonly secretKey: Buffer | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Runs the lives of all pipelines while it holds the lease; others stand by. What it knows it reads from records each time. */
export class CoordinatorService implements Actor {
  readonly name = "coordinator";
  readonly #deps: CoordinatorDeps;
  #term: CoordinatorTerm | null = null;

  constructor(deps: CoordinatorDeps) {
    this.#deps = deps;
  }

  /** Null while this one stands by. */
  get active(): ActiveCoordinator | null {
    return this.#term;
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const lease = await this.#deps.leases.acquire("coordinator", signal);
    if (lease === null) return;
    const ending = new AbortController();
    const end = (): void => ending.abort();
    signal.addEventListener("abort", end, { once: true });
    lease.lost.addEventListener("abort", end, { once: true });
    try {
      if (signal.aborted || lease.lost.aborted) end();
      this.#term = new CoordinatorTerm(this.#deps);
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
}

/** Nothing is left to do for it, and nothing to be told of it. */
function isOver({ spec, state, cutover }: KnownPipeline): boolean {
  const phase = cutover?.value.phase ?? "cancelled";
  if (spec?.value.desired === "cut-over") return state?.value.state === "cut-over" && phase === "done";
  return spec?.value.desired === "stopped" && state?.value.state === "stopped" && phase === "cancelled";
}

/** The time from taking the lease to losing it or giving it back. */
class CoordinatorTerm implements ActiveCoordinator {
  readonly book = new PipelineBook();
  readonly #deps: CoordinatorDeps;
  readonly #crew: Crew;
  readonly #lives = new Map<string, PipelineLife>();

  constructor(deps: CoordinatorDeps) {
    this.#deps = deps;
    this.#crew = new Crew(deps.clock, deps.log);
  }

  sourcesOf(pipeline: string): ReadonlyMap<string, SourceView> {
    return this.#lives.get(pipeline)?.sources ?? new Map<string, SourceView>();
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const { records, clock, log } = this.#deps;
    const unwatch = records.watch(recordFilter.pipelines, (change) => {
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
      while (!signal.aborted) {
        const wanted = this.book.all.filter((known) => !isOver(known)).map(({ name }) => name);
        this.#crew.keep(new Set(wanted), (name) => this.#createLife(name));
        for (const name of this.#lives.keys()) if (!wanted.includes(name)) this.#lives.delete(name);
        progress();
        await clock.sleep(LOOK_EVERY_MS, signal);
      }
    } finally {
      unwatch();
      await this.#crew.stop();
    }
  }

  #createLife(name: string): PipelineLife {
    const known = this.book.get(name);
    if (known === null) throw new Error(`pipeline ${name} is not in the book`);
    const { records, streamOf, secretKey, clock, log } = this.#deps;
    const life = new PipelineLife(known, { records, stream: streamOf(name), secretKey, clock, log });
    this.#lives.set(name, life);
    return life;
  }
}
