import type { Records } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";
import {
  lastMade,
  parseGroupLaneLabel,
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

/** Heartbeats pass an idle source's pings on only every 5 s. */
const CAUGHT_UP_SECONDS = 10;

/**
 * Every lane is close to the source, in the epoch of its shard, and nothing is in its way: what was not applied for a while is. What was
 * written before `made`, the revision of the spec that all runs by, says nothing of it.
 */
function hasCaughtUp({ shards, lanes }: Pick<StateFacts, "shards" | "lanes">, made: number): boolean {
  const parts = [...shards, ...lanes].map(({ seen }) => seen);
  const isWell = parts.every(
    (seen) => seen?.halt === null && seen.retry === null && (seen.written === undefined || seen.written.revision > made),
  );
  const epochs = new Map(shards.map(({ id, floor, seen }) => [id, seen !== null && seen.epoch > floor ? seen.epoch : null]));
  const isClose = lanes.every(
    ({ label, seen, lagSeconds }) =>
      seen?.phase === "live" &&
      seen.epoch === epochs.get(parseGroupLaneLabel(label).shard) &&
      lagSeconds !== null &&
      lagSeconds < CAUGHT_UP_SECONDS,
  );
  return lanes.length > 0 && isWell && isClose;
}

/** The lowest and the highest epoch of the shards; 0 where one has not said which it is in. */
function epochsOf({ shards }: Pick<StateFacts, "shards">): { lowest: number; highest: number } {
  const epochs = shards.map(({ floor, seen }) => (seen !== null && seen.epoch > floor ? seen.epoch : 0));
  const told = shards.map(({ floor, seen }) => Math.max(floor, seen?.epoch ?? 0));
  return { lowest: epochs.length === 0 ? 0 : Math.min(...epochs), highest: Math.max(0, ...told) };
}

/** States in which nothing is applied, and which nothing but a start ends. */
const RESTING: ReadonlySet<PipelineState> = new Set(["paused", "stopped", "failed", "blocked", "prechecking"]);

/**
 * Keeps the retry windows of a pipeline, and makes it fail when one closes. Beside them it counts for how long a pipeline that is
 * paused, stopped, checked again or has failed applies nothing, or one that runs has parts that halted or wait: expiries in its
 * destinations bear only so much. A pipeline that drains is counted, too: its source is not read meanwhile, so that its destinations
 * fall behind by just that time, however much is applied.
 *
 * A start, an edit, or an instance that begins anew makes none of it forgotten: it is when every lane has caught up, or every shard
 * is in an epoch that began behind all that was counted, with a copy of everything.
 *
 * Expiries run out while no coordinator is active, too, so that one that takes over counts from when the state began, by the wall clocks of
 * the two: wrong by as much as these differ, which the grace has to bear.
 */
export class WindowKeeper {
  readonly #known: KnownPipeline;
  readonly #deps: WindowKeeperDeps;
  /** How long the bus was away before this coordinator had it back; counted once. */
  #busAwayMs: number;
  #spec = 0;
  #windows: RetryWindows | null = null;
  #idleMs = 0;
  /** The highest epoch that a shard had when idle time was last counted; null while that is not known: then no epoch is above it. */
  #idleEpoch: number | null = null;
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
    // Lanes that are being taken back wait for nothing.
    const waits = isRunning || desired === "paused" ? waitsOf(isRunning ? facts : { ...facts, lanes: [] }) : [];
    this.#count(spec, made, facts, isResting(spec) || (isRunning && (hasHalted(facts) || waits.length > 0)) ? passedMs : 0);
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

  /** `idleMs`: how long nothing, or not all, was applied since the last look. */
  #count(spec: SpecRecord, made: number, facts: Pick<StateFacts, "shards" | "lanes">, idleMs: number): void {
    const { lowest, highest } = epochsOf(facts);
    // A shard that has just been taken says epoch 0, and may go on where it was.
    if (this.#idleEpoch === null && lowest > 0) this.#idleEpoch = highest;
    const isRunning = spec.desired === "running";
    const isCopiedAnew = spec.pipeline.mode !== "changes" && this.#idleEpoch !== null && lowest > this.#idleEpoch;
    // Before the first start there is nothing to forget.
    const isFresh = spec.isNew === true || spec.desired === "created";
    if (isFresh || (isRunning && (isCopiedAnew || hasCaughtUp(facts, made)))) this.#idleMs = 0;
    else this.#idleMs += idleMs;
    if (this.#idleEpoch !== null && (idleMs > 0 || this.#idleMs === 0)) this.#idleEpoch = Math.max(this.#idleEpoch, highest);
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
    const isNews = Math.round(this.#idleMs) !== (known?.value.idleMs ?? 0) || known?.value.spec !== revision;
    const isCounting = this.open.length > 0 || (this.#idleMs > 0 && isNews);
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
