import type { LaneStream, Records } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { describeFault, Halt, openSecret, type Actor, type Clock, type Logger } from "@sluice/runtime";
import {
  checkpointRecord,
  groupLaneLabel,
  snapSubject,
  recordKey,
  stateRecord,
  type OpenWindow,
  type PipelineState,
  type SpecRecord,
  type StateRecord,
} from "@sluice/wire";
import { Cutover } from "../settle/cutover.ts";
import { checkpointOf, isSameCheckpoint } from "../checkpoint/checkpoint.ts";
import { abandonedLanes } from "../checkpoint/abandoned-lanes.ts";
import type { SourceSampler } from "../checkpoint/source-sampler.ts";
import { SourceSamplers } from "../checkpoint/source-samplers.ts";
import { copiedKeys } from "../checkpoint/copied-keys.ts";
import { isEndOfCopy } from "../checkpoint/copy-end.ts";
import { neededBytes, StreamGauge } from "../checkpoint/stream-gauge.ts";
import { StreamTrimmer, type TrimmedLane } from "../checkpoint/stream-trimmer.ts";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { factsOf } from "./facts-of.ts";
import { laneLabels, laneOf, lanesOfShards, type KnownPipeline } from "./pipeline-book.ts";
import { CopyOnly, toldStop } from "./copy-only.ts";
import { addEvents, type News } from "./event-log.ts";
import { removeFormerGroups } from "./former-groups.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { NewsWatch } from "./news.ts";
import { Prechecking } from "./prechecking.ts";
import { observeState, troubleOf, type ObservedState, type StateFacts } from "./state.ts";
import { STOP_LIMIT_MS, stopGate } from "./stop-gate.ts";
import { stoppingLanes } from "./stopping-lanes.ts";
import { reasonOfStep, stepsTo } from "./transitions.ts";
import { WindowKeeper } from "./window-keeper.ts";

const OBSERVE_EVERY_MS = 250;
/** Checkpoint and trim at every so manieth look. */
const KEEP_EVERY = 4;
/** Nothing that is stored between a look at the stream and its new limit may be beyond the limit. */
const MOST_HEADROOM_BYTES = 256 * 1024 * 1024;
/** States that a pipeline reaches only with a topology. */
const BEYOND_TOPOLOGY: ReadonlySet<PipelineState> = new Set(["copying", "catching-up", "synchronizing"]);

export interface LifeDeps {
  readonly records: Records;
  readonly stream: LaneStream;
  readonly busFacts: DeskDeps["busFacts"];
  readonly secretKey: Buffer | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The life of one pipeline: samples its source, writes its observed state and its checkpoint, and trims its stream. It changes
 * nothing that it can't derive again from records, so that it may end at any moment.
 */
export class PipelineLife implements Actor {
  readonly name: string;
  readonly #known: KnownPipeline;
  readonly #deps: LifeDeps;
  readonly #samplers: SourceSamplers;
  readonly #cutover: Cutover;
  readonly #prechecking: Prechecking;
  readonly #windows: WindowKeeper;
  readonly #copyOnly: CopyOnly;
  readonly #memory: MemoryWatch;
  readonly #newsWatch: NewsWatch;
  #news: News[] = [];
  readonly #gauge = new StreamGauge();
  #isCopyCut = false;
  #limitedAt = 0;
  #sampledSource = "";
  #endpoint: Endpoint | null = null;
  #stoppingSinceMs: number | null = null;
  #shardRevision = 0;
  #shardChangedAtMs = 0;

  /** `known` is kept up to date by the caller. `busAwayMs`: how long the bus was away just before; 0 where it was not. */
  constructor(known: KnownPipeline, deps: LifeDeps, busAwayMs = 0) {
    this.name = `pipeline ${known.name}`;
    this.#known = known;
    this.#deps = deps;
    this.#samplers = new SourceSamplers(deps.clock, deps.log.child({ pipeline: known.name }));
    this.#cutover = new Cutover(known, deps);
    this.#prechecking = new Prechecking(known, deps);
    this.#windows = new WindowKeeper(known, deps, busAwayMs);
    this.#copyOnly = new CopyOnly(known, deps);
    this.#memory = new MemoryWatch(known, deps);
    this.#newsWatch = new NewsWatch(known);
  }

  /** Endpoints that are waited for, each with how long it has been tried. */
  get openWindows(): readonly OpenWindow[] {
    return this.#windows.open;
  }

  /** What each source shard last said. */
  get sources(): ReadonlyMap<string, SourceSampler> {
    return this.#samplers.views;
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const { stream, clock, log } = this.#deps;
    try {
      let trimmer: StreamTrimmer | null = null;
      for (let look = 0; !signal.aborted; look++) {
        const spec = this.#known.spec?.value;
        if (spec !== undefined && this.#isObservable(spec)) {
          trimmer ??= new StreamTrimmer(this.#known.name, stream, spec.pipeline.keepApplied, clock, log);
          trimmer.keep(spec.pipeline.keepApplied);
          this.#keepSampling(spec);
          await this.#writeState(spec);
          this.#memory.step(spec);
          await this.#tellNews();
          if (look % KEEP_EVERY === 0 && spec.isNew !== true) {
            await this.#writeCheckpoint();
            await removeFormerGroups(this.#known, this.#deps);
            await this.#gaugeStream(spec);
            await trimmer.trim(this.#trimmedLanes(), abandonedLanes(this.#known), this.#gauge.pressure !== "none");
          }
          progress();
        }
        await clock.sleep(OBSERVE_EVERY_MS, signal);
      }
    } finally {
      await this.#samplers.stop();
      await this.#cutover.stop();
      await this.#memory.stop();
      await this.#prechecking.stop();
    }
  }

  /** Without a topology only what comes before there is one: else it has not been told yet to a coordinator that takes over. */
  #isObservable({ desired }: SpecRecord): boolean {
    const { topology, state } = this.#known;
    return topology !== null || desired !== "running" || !BEYOND_TOPOLOGY.has(state?.value.state ?? "created");
  }

  /** Samples every shard where the topology says that it is served, with what the spec says of the source. */
  #keepSampling(spec: SpecRecord): void {
    const shards = this.#known.topology?.value.shards ?? [];
    const source = JSON.stringify(spec.pipeline.source);
    if (source !== this.#sampledSource) {
      this.#samplers.keep(new Map());
      this.#sampledSource = source;
      this.#endpoint = this.#sourceEndpoint(spec);
    }
    const endpoint = this.#endpoint;
    this.#samplers.keep(
      new Map(endpoint === null ? [] : shards.map(({ id, host, port }) => [id, { ...endpoint, host, port }])),
    );
  }

  /** Null when the source can't be asked for want of a key or a certificate: its pipeline is observed all the same. */
  #sourceEndpoint({ pipeline: { source } }: SpecRecord): Endpoint | null {
    const { log, secretKey } = this.#deps;
    try {
      return openEndpoint(source, (sealed) => openSecret(sealed, secretKey));
    } catch (cause) {
      if (!(cause instanceof Halt)) throw cause;
      log.error(
        { pipeline: this.#known.name, code: cause.code, remedy: cause.remedy },
        `no lag can be told: ${describeFault(cause)}`,
      );
      return null;
    }
  }

  async #writeState(spec: SpecRecord): Promise<void> {
    const known = this.#known;
    const stop = spec.desired === "stopped" ? toldStop(stopGate(await this.#stoppingFacts()), spec) : null;
    if (stop === null) this.#stoppingSinceMs = null;
    const previous = known.state?.value ?? null;
    const factsNow = (): StateFacts => ({
      stop,
      previous: previous?.state ?? null,
      fullStream: this.#fullStream(),
      ...factsOf(known, this.#samplers.views),
    });
    const stored = known.spec;
    if (stored !== null) {
      await this.#prechecking.step(stored);
      this.#news.push(...(await this.#windows.look(stored.value, stored.revision, factsNow())));
      await this.#copyOnly.step(stored, factsNow());
    }
    await this.#cutover.step({ spec, trouble: troubleOf(factsNow()), stop });
    const facts = factsNow();
    this.#news.push(...this.#newsWatch.take(facts));
    const observed = observeState(facts);
    await this.#tellState(observed);
  }

  /** Every step of the table on the way is written, so that whoever watches sees nothing else. */
  async #tellState(observed: ObservedState): Promise<void> {
    const known = this.#known;
    const previous = known.state?.value ?? null;
    if (previous?.state === observed.state) {
      if (previous.reason !== observed.reason) await this.#store({ ...observed, since: previous.since });
      return;
    }
    for (const state of stepsTo(previous?.state ?? null, observed.state)) {
      const from = known.state?.value.state ?? null;
      const reason = state === observed.state ? observed.reason : from === null ? "accepted" : reasonOfStep(from, state);
      if (!(await this.#store({ state, reason, since: this.#deps.clock.nowMs() }))) return;
      this.#deps.log.info({ pipeline: known.name, from, to: state, why: reason }, "state");
      this.#news.push({ kind: "state", text: `${state}: ${reason}` });
    }
  }

  async #store(value: StateRecord): Promise<boolean> {
    const known = this.#known;
    const key = recordKey.state(known.name);
    const revision = await this.#deps.records.compareAndSet(key, stateRecord, value, known.state?.revision ?? 0);
    if (revision !== null) known.state = { value, revision };
    return revision !== null;
  }

  /** What can't be told now, as the bus is away, is told at the next look. */
  async #tellNews(): Promise<void> {
    const { records, clock } = this.#deps;
    const told = this.#known.topology?.value.events ?? [];
    const newest = told.at(-1);
    const last = this.#known.events?.value.topology ?? null;
    if (this.#news.length === 0 && (newest === undefined || (newest.at === last?.at && newest.text === last.text))) return;
    await addEvents(records, this.#known.name, this.#news, clock.nowMs(), told);
    this.#news = [];
  }

  async #stoppingFacts(): Promise<Parameters<typeof stopGate>[0]> {
    const known = this.#known;
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#stoppingSinceMs === null) this.#shardChangedAtMs = nowMs;
    this.#stoppingSinceMs ??= nowMs;
    const revision = Math.max(0, ...[...known.shards.values()].map((shard) => shard.revision));
    if (revision !== this.#shardRevision) this.#shardChangedAtMs = nowMs;
    this.#shardRevision = revision;
    const areShardsAssigned = Object.keys(known.assignment?.value.shards ?? {}).length > 0;
    const lanes = await stoppingLanes(known, {
      isForced: this.#isForced,
      areShardsAssigned,
      tail: async (subject) => this.#deps.stream.tail(subject),
    });
    return {
      sinceMs: nowMs - this.#stoppingSinceMs,
      limitMs: known.spec?.value.drainMs ?? STOP_LIMIT_MS,
      areShardsAssigned,
      quietMs: nowMs - this.#shardChangedAtMs,
      lanes,
      isPatient: known.cutover?.value.phase === "stopping",
    };
  }

  get #isForced(): boolean {
    const cutover = this.#known.cutover?.value;
    return cutover?.phase === "stopping" && cutover.isForced;
  }

  /** Gives the stream its limit, once for every start, and looks how full it is. */
  async #gaugeStream({ pipeline }: SpecRecord): Promise<void> {
    const { stream, clock, log } = this.#deps;
    const revision = this.#known.spec?.revision ?? 0;
    if (this.#limitedAt !== revision) {
      const limitBytes = pipeline.limits.streamBytes ?? null;
      const headroomBytes = Math.min(MOST_HEADROOM_BYTES, (limitBytes ?? 0) / 8);
      // A stream that holds more than it shall is limited when it has shrunk.
      if ((await stream.limit(limitBytes, Math.ceil(headroomBytes))) === limitBytes) this.#limitedAt = revision;
    }
    const isChanged = this.#gauge.take(await stream.size(), clock.monotonicMs());
    this.#isCopyCut = this.#gauge.pressure === "full" && (await this.#lacksCopyEnd());
    if (!isChanged) return;
    const { pressure, size } = this.#gauge;
    const text = {
      none: "the stream has room again: applied changes are kept as long as the pipeline says",
      high: "the stream is above 80 % of what it may hold: applied changes are removed at once",
      full: "the stream is full: nothing more is read from the source until there is room",
    }[pressure];
    log.warn({ pipeline: this.#known.name, bytes: size?.bytes, limitBytes: size?.limitBytes }, text);
    this.#news.push({ kind: "alarm", text });
  }

  #fullStream(): StateFacts["fullStream"] {
    const { pressure, size } = this.#gauge;
    const limitBytes = size?.limitBytes ?? null;
    if (pressure !== "full" || size === null || limitBytes === null) return null;
    const { keys, expectedKeys } = copiedKeys(this.#known);
    const isCopyCut = this.#isCopyCut;
    return {
      bytes: size.bytes,
      limitBytes,
      isCopyCut,
      neededBytes: neededBytes(size.bytes, keys, expectedKeys),
    };
  }

  /** Whether a lane lacks the end of the copy that it is in. Ingest may have read all of it: what counts is what is stored. */
  async #lacksCopyEnd(): Promise<boolean> {
    for (const { shardId, lane, shard, groups } of this.#trimmedLanes()) {
      const isIn = [...groups.values()].some(
        (seen) => seen === null || seen.phase === "snap" || seen.epoch < (shard?.epoch ?? 0),
      );
      if (shard === null || shard.epoch === 0 || !isIn) continue;
      const tail = await this.#deps.stream.tail(snapSubject(this.#known.name, shard.copy, shardId, lane));
      if (tail === null || !isEndOfCopy(shard.epoch, tail.payload)) return true;
    }
    return false;
  }

  async #writeCheckpoint(): Promise<void> {
    const known = this.#known;
    const shards = new Map(known.topology?.value.shards.map(({ id }) => [id, known.shards.get(id)?.value ?? null]));
    const lanes = new Map(laneLabels(known).map(({ label }) => [label, laneOf(known, label)?.value ?? null]));
    if ([...shards.values(), ...lanes.values()].every((record) => record === null)) return;
    const value = checkpointOf(known.checkpoint?.value ?? null, shards, lanes, this.#deps.clock.nowMs());
    if (known.checkpoint !== null && isSameCheckpoint(known.checkpoint.value, value)) return;
    const key = recordKey.checkpoint(known.name);
    const revision = await this.#deps.records.compareAndSet(key, checkpointRecord, value, known.checkpoint?.revision ?? 0);
    if (revision !== null) known.checkpoint = { value, revision };
  }

  #trimmedLanes(): TrimmedLane[] {
    const known = this.#known;
    const groups = known.spec?.value.pipeline.destinations.map(({ group }) => group) ?? [];
    return lanesOfShards(known).map(({ shardId, lane }) => ({
      shardId,
      lane,
      shard: known.shards.get(shardId)?.value ?? null,
      groups: new Map(groups.map((group) => [group, laneOf(known, groupLaneLabel(group, shardId, lane))?.value ?? null])),
      additions: known.spec?.value.additions ?? {},
    }));
  }
}
