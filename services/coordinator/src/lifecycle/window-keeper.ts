import type { Records } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";
import {
  lastMade,
  recordKey,
  specRecord,
  windowsRecord,
  withLastStart,
  writtenSpec,
  type HaltRecord,
  type OpenWindow,
  type PipelineState,
  type SpecRecord,
} from "@sluice/wire";
import { wished } from "../desk/spec-change.ts";
import type { News } from "./event-log.ts";
import { formatSpan } from "./format-span.ts";
import type { KnownPipeline } from "./pipeline-book.ts";
import { failureOf, RetryWindows, waitsOf } from "./retry-windows.ts";
import type { StateFacts } from "./state.ts";

const WRITE_EVERY_MS = 5_000;

export interface WindowKeeperDeps {
  readonly records: Records;
  readonly clock: Clock;
  readonly log: Logger;
  /** So often what has been counted is written while something is counted; 5 s where absent. */
  readonly writeEveryMs?: number;
}

/** Nothing of it is applied, and it may go on from where it is. */
export function isIdle({ desired }: Pick<SpecRecord, "desired">): boolean {
  return desired === "paused" || desired === "failed" || desired === "stopped";
}

/** The expiries in its destinations go on meanwhile: also while the prechecks of its next start run, or forbid it. */
function isResting({ desired, isNew }: Pick<SpecRecord, "desired" | "isNew">): boolean {
  return isNew !== true && (isIdle({ desired }) || desired === "checking");
}

/** A shard or a lane that has halted is not applied, however the others go on, until the operator starts the pipeline again. */
function hasHalted({ shards, lanes }: Pick<StateFacts, "shards" | "lanes">): boolean {
  return [...shards, ...lanes].some(({ seen }) => (seen?.halt ?? null) !== null);
}

/** States in which nothing is applied, and which nothing but a start ends. */
const RESTING: ReadonlySet<PipelineState> = new Set(["paused", "stopped", "failed", "blocked", "prechecking"]);

/**
 * Keeps the retry windows of a pipeline, and makes it fail when one closes. Beside them it counts for how long a pipeline that is
 * paused, stopped, checked again or has failed applies nothing, or one that runs has parts that halted: expiries in its destinations bear only
 * so much. Those run out while no
 * coordinator is active, too, so that one that takes over counts from when the state began, by the wall clocks of the two: wrong by as much
 * as these differ, which the grace has to bear.
 */
export class WindowKeeper {
  readonly #known: KnownPipeline;
  readonly #deps: WindowKeeperDeps;
  /** How long the bus was away before this coordinator had it back; counted once. */
  #busAwayMs: number;
  #spec = 0;
  #windows: RetryWindows | null = null;
  #idleMs = 0;
  #lookedAtMs: number;
  #writtenAtMs = Number.NEGATIVE_INFINITY;

  constructor(known: KnownPipeline, deps: WindowKeeperDeps, busAwayMs: number) {
    this.#known = known;
    this.#deps = deps;
    this.#busAwayMs = busAwayMs;
    this.#lookedAtMs = deps.clock.monotonicMs();
  }

  get open(): readonly OpenWindow[] {
    return this.#windows?.open ?? [];
  }

  /** To be called at every look with what the records say; answers what is to be told. Throws `Retryable` BUS-001. */
  async look(spec: SpecRecord, revision: number, facts: Pick<StateFacts, "shards" | "lanes" | "watches">): Promise<News[]> {
    const { clock } = this.#deps;
    const made = lastMade({ value: spec, revision });
    this.#begin(made);
    const passedMs = clock.monotonicMs() - this.#lookedAtMs;
    this.#lookedAtMs = clock.monotonicMs();
    const { desired, pipeline } = spec;
    const isRunning = desired === "running";
    const isCounted = isResting(spec) || (isRunning && hasHalted(facts));
    this.#idleMs = isCounted ? this.#idleMs + passedMs : 0;
    // Lanes that are being taken back wait for nothing.
    const waits = isRunning || desired === "paused" ? waitsOf(isRunning ? facts : { ...facts, lanes: [] }) : [];
    const { opened, recovered, closed } = this.#windows!.look(waits, pipeline.retryWindow);
    const news: News[] = [
      ...opened.map(({ endpoint, windowMs, reason }): News => ({
        kind: "retry",
        text: `waits for ${endpoint}, for ${formatSpan(windowMs)} at most: ${reason}`,
      })),
      ...(isRunning || desired === "paused" ? recovered : []).map(({ endpoint, elapsedMs }): News => ({
        kind: "retry",
        text: `${endpoint} is there again after ${formatSpan(elapsedMs)}`,
      })),
    ];
    const missed = isRunning || desired === "paused" ? this.#missedBus(pipeline.retryWindow.bus) : undefined;
    const failure = closed === null ? (missed ?? null) : failureOf(closed, clock.nowMs());
    const isOver = this.#idleMs === 0 && (this.#known.windows?.value.idleMs ?? 0) > 0;
    const isChange = opened.length > 0 || recovered.length > 0 || isOver;
    await this.#write(made, isChange || failure !== null);
    if (failure !== null) await this.#fail(revision, failure);
    // Not before: the bus may have gone away again.
    if (missed !== undefined) this.#busAwayMs = 0;
    return news;
  }

  /** Every start counts anew; what another coordinator has counted of the same one is carried on. */
  #begin(revision: number): void {
    if (this.#windows !== null && this.#spec === revision) return;
    const carried = this.#known.windows?.value;
    const isSame = carried?.spec === revision;
    // What was waited for before the pipeline failed, or was paused, counts as well; so does what came before an edit.
    const waited = carried === undefined || isSame ? [] : carried.windows.map(({ elapsedMs }) => elapsedMs);
    this.#idleMs = Math.max(this.#idleMs, carried?.idleMs ?? 0, this.#restedMs(), ...waited);
    this.#windows = new RetryWindows(this.#deps.clock, isSame ? carried.windows : []);
    this.#spec = revision;
    this.#writtenAtMs = Number.NEGATIVE_INFINITY;
  }

  #restedMs(): number {
    const state = this.#known.state?.value;
    if (state === undefined || !RESTING.has(state.state)) return 0;
    return Math.max(0, this.#deps.clock.nowMs() - state.since);
  }

  #missedBus(windowMs: number): HaltRecord | null {
    const elapsedMs = this.#busAwayMs;
    if (elapsedMs < windowMs) return null;
    return failureOf({ endpoint: "bus", kind: "bus", elapsedMs, reason: "NATS did not answer" }, this.#deps.clock.nowMs());
  }

  async #write(revision: number, isDue: boolean): Promise<void> {
    const { records, clock } = this.#deps;
    const known = this.#known.windows;
    const isCounting = this.open.length > 0 || this.#idleMs > 0;
    if (!isDue && !(isCounting && clock.monotonicMs() - this.#writtenAtMs >= (this.#deps.writeEveryMs ?? WRITE_EVERY_MS)))
      return;
    this.#writtenAtMs = clock.monotonicMs();
    const value = { spec: revision, windows: [...this.open], idleMs: Math.round(this.#idleMs) };
    const key = recordKey.windows(this.#known.name);
    const written = await records.compareAndSet(key, windowsRecord, value, known?.revision ?? 0);
    if (written !== null) this.#known.windows = { value, revision: written };
  }

  /** By compare-and-set: who paused, stopped or edited the pipeline in this moment has begun another count. */
  async #fail(revision: number, failure: HaltRecord): Promise<void> {
    const { records, log } = this.#deps;
    const key = recordKey.spec(this.#known.name);
    const current = await records.get(key, writtenSpec);
    if (current?.revision !== revision) return;
    const value = withLastStart({ ...wished(current.value, "failed"), failure }, current);
    if ((await records.compareAndSet(key, specRecord, value, revision)) === null) return;
    log.error({ pipeline: this.#known.name, code: failure.code, remedy: failure.remedy }, failure.message);
  }
}
