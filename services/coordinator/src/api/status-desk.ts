import { describeFault } from "@sluice/runtime";
import { cutoverRecord, eventsRecord, precheckRecord, recordKey, writtenSpec, type PipelineStatus } from "@sluice/wire";
import type { SourceView } from "../checkpoint/lane-lag.ts";
import { PipelineRates } from "../checkpoint/pipeline-rates.ts";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { Refusal } from "../desk/refusal.ts";
import { noSuchPipeline } from "../desk/spec-change.ts";
import type { KnownPipeline, PipelineBook } from "../lifecycle/pipeline-book.ts";
import { StreamSizes } from "../metrics/stream-sizes.ts";
import { statusOf } from "./pipeline-status.ts";

/** What the coordinator that holds the lease knows. */
export interface ActiveCoordinator {
  readonly book: PipelineBook;
  sourcesOf(pipeline: string): ReadonlyMap<string, SourceView>;
}

const MEASURE_EVERY_MS = 1_000;

/** Answers what the pipelines are like, by the records that the active coordinator has in memory, and measures how fast they go. */
export class StatusDesk {
  readonly #deps: DeskDeps;
  readonly #active: () => ActiveCoordinator | null;
  readonly #sizes: StreamSizes;
  readonly #rates = new Map<string, PipelineRates>();

  constructor(deps: DeskDeps, active: () => ActiveCoordinator | null) {
    this.#deps = deps;
    this.#active = active;
    this.#sizes = new StreamSizes(deps.streamOf, deps.clock);
  }

  /** Throws `Refusal` 503 SLU-003 while this coordinator stands by. */
  get active(): ActiveCoordinator {
    const active = this.#active();
    if (active !== null) return active;
    const remedy = "Ask the one that is active, or wait: it takes over when that one ends.";
    throw new Refusal(503, "SLU-003", "this coordinator stands by", remedy);
  }

  /** Null while this coordinator stands by. */
  get book(): PipelineBook | null {
    return this.#active()?.book ?? null;
  }

  /** Measures once a second until `signal` aborts. */
  async keepMeasuring(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      this.measure();
      await clock.sleep(MEASURE_EVERY_MS, signal);
    }
  }

  measure(): void {
    const active = this.#active();
    const names = new Set(active?.book.all.map(({ name }) => name));
    for (const name of this.#rates.keys()) if (!names.has(name)) this.#rates.delete(name);
    for (const known of active?.book.all ?? []) {
      const rates = this.#rates.get(known.name) ?? new PipelineRates();
      this.#rates.set(known.name, rates);
      const sources = active?.sourcesOf(known.name) ?? new Map<string, SourceView>();
      this.#guarded(known.name, () => rates.take(known, sources, this.#deps.clock.monotonicMs()));
    }
  }

  /** Throws `Refusal` 404 PIP-002, `Retryable` BUS-001. */
  async status(name: string): Promise<PipelineStatus> {
    const known = await this.known(name);
    const size = await this.#deps.streamOf(name).size();
    return statusOf(known, this.active.sourcesOf(name), size, this.#rates.get(name) ?? null);
  }

  /** Of all pipelines; sizes of streams as they were a few seconds ago at most, null where NATS is away. */
  async allStatuses(): Promise<PipelineStatus[]> {
    const active = this.#active();
    if (active === null) return [];
    const { all } = active.book;
    const sizes = await this.#sizes.of(all.map(({ name }) => name));
    return all.flatMap((known) => {
      const { name } = known;
      const [size, rates] = [sizes.get(name) ?? null, this.#rates.get(name) ?? null];
      const status = this.#guarded(name, () => statusOf(known, active.sourcesOf(name), size, rates));
      return status === null ? [] : [status];
    });
  }

  /** A pipeline whose records say what can't be is left out: all others are still measured and shown. */
  #guarded<T>(pipeline: string, figure: () => T): T | null {
    try {
      return figure();
    } catch (cause) {
      this.#deps.log.debug({ pipeline, cause: describeFault(cause) }, "nothing can be measured");
      return null;
    }
  }

  /**
   * The records of a pipeline. The watch may not have told yet of what was written a moment ago: what a request may have changed
   * just now is read. Throws `Refusal` 404 PIP-002, `Retryable` BUS-001.
   */
  async known(name: string): Promise<KnownPipeline> {
    const { book } = this.active;
    const { records } = this.#deps;
    const key = recordKey.spec(name);
    const spec = await records.get(key, writtenSpec);
    if (spec === null) throw noSuchPipeline(name);
    book.take({ key, ...spec });
    const others = [
      { key: recordKey.cutover(name), schema: cutoverRecord },
      { key: recordKey.precheck(name), schema: precheckRecord },
      { key: recordKey.events(name), schema: eventsRecord },
    ];
    await Promise.all(
      others.map(async ({ key: other, schema }) => {
        const found = await records.get(other, schema);
        if (found !== null) book.take({ key: other, ...found });
      }),
    );
    const known = book.get(name);
    if (known === null) throw noSuchPipeline(name);
    return known;
  }
}
