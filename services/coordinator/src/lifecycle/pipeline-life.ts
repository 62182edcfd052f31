import type { LaneStream, Records } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { describeFault, Halt, openSecret, type Actor, type Clock, type Logger } from "@sluice/runtime";
import { checkpointRecord, liveSubject, recordKey, stateRecord, type SpecRecord } from "@sluice/wire";
import { checkpointOf, isSameCheckpoint } from "../checkpoint/checkpoint.ts";
import { SourceSampler } from "../checkpoint/source-sampler.ts";
import { StreamTrimmer, type TrimmedLane } from "../checkpoint/stream-trimmer.ts";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { factsOf } from "./facts-of.ts";
import { laneLabels, type KnownPipeline } from "./pipeline-book.ts";
import { observeState } from "./state.ts";
import { stopGate, type StoppingLane } from "./stop-gate.ts";

const OBSERVE_EVERY_MS = 250;
/** Checkpoint and trim at every so manieth look. */
const KEEP_EVERY = 4;

export interface LifeDeps {
  readonly records: Records;
  readonly stream: LaneStream;
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
  readonly #samplers = new Map<string, SourceSampler>();
  #stoppingSinceMs: number | null = null;
  #shardRevision = 0;
  #shardChangedAtMs = 0;

  /** `known` is kept up to date by the caller. */
  constructor(known: KnownPipeline, deps: LifeDeps) {
    this.name = `pipeline ${known.name}`;
    this.#known = known;
    this.#deps = deps;
  }

  /** What each source shard last said. */
  get sources(): ReadonlyMap<string, SourceSampler> {
    return this.#samplers;
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    let sampling = new AbortController();
    let sampledSource = "";
    const sampled: Promise<void>[] = [];
    const { stream, clock, log } = this.#deps;
    try {
      let trimmer: StreamTrimmer | null = null;
      for (let look = 0; !signal.aborted; look++) {
        const spec = this.#known.spec?.value;
        if (spec !== undefined && this.#known.topology !== null) {
          trimmer ??= new StreamTrimmer(this.#known.name, stream, spec.pipeline.keepApplied, clock, log);
          const source = JSON.stringify(spec.pipeline.source);
          if (source !== sampledSource) {
            sampling.abort();
            sampling = new AbortController();
            sampledSource = source;
            sampled.push(...this.#startSampling(spec, sampling.signal));
          }
          await this.#writeState(spec);
          if (look % KEEP_EVERY === 0) {
            await this.#writeCheckpoint();
            await trimmer.trim(this.#trimmedLanes());
          }
          progress();
        }
        await clock.sleep(OBSERVE_EVERY_MS, signal);
      }
    } finally {
      sampling.abort();
      await Promise.all(sampled);
    }
  }

  /** The source of a shard of a standalone server is the pipeline's own endpoint. */
  #startSampling(spec: SpecRecord, signal: AbortSignal): Promise<void>[] {
    const { clock, log } = this.#deps;
    const endpoint = this.#sourceEndpoint(spec);
    if (endpoint === null) return [];
    return (this.#known.topology?.value.shards ?? []).map(({ id }) => {
      const sampler = new SourceSampler(clock, log.child({ pipeline: this.#known.name, shard: id }));
      this.#samplers.set(id, sampler);
      return sampler.run(endpoint, signal);
    });
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
    const stop = spec.desired === "stopped" ? stopGate(await this.#stoppingFacts()) : null;
    if (stop === null) this.#stoppingSinceMs = null;
    const previous = known.state?.value ?? null;
    const observed = observeState({ stop, previous: previous?.state ?? null, ...factsOf(known, this.#samplers) });
    if (previous?.state === observed.state && previous.reason === observed.reason) return;
    const isNew = previous?.state !== observed.state;
    const value = { ...observed, since: isNew ? this.#deps.clock.nowMs() : previous.since };
    const revision = await this.#deps.records.compareAndSet(
      recordKey.state(known.name),
      stateRecord,
      value,
      known.state?.revision ?? 0,
    );
    if (revision === null) return;
    known.state = { value, revision };
    if (isNew)
      this.#deps.log.info({ pipeline: known.name, from: previous?.state ?? null, to: value.state, why: value.reason }, "state");
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
    const lanes: StoppingLane[] = [];
    for (const { label, shardId, lane } of laneLabels(known)) {
      const seen = known.lanes.get(label)?.value;
      const shard = known.shards.get(shardId)?.value;
      if (shard === undefined) continue; // nothing was ever read
      lanes.push({
        label,
        isHalted: Boolean(seen?.halt),
        isLive: seen?.phase === "live" && seen.epoch === shard.epoch,
        offset: seen?.offset ?? 0,
        sequence: seen?.sequence ?? 0,
        storedOffset: shard.storedOffset,
        tailSequence: areShardsAssigned
          ? null
          : ((await this.#deps.stream.tail(liveSubject(known.name, shardId, lane)))?.sequence ?? null),
      });
    }
    return { sinceMs: nowMs - this.#stoppingSinceMs, areShardsAssigned, quietMs: nowMs - this.#shardChangedAtMs, lanes };
  }

  async #writeCheckpoint(): Promise<void> {
    const known = this.#known;
    const shards = new Map([...known.shards].map(([id, { value }]) => [id, value]));
    const lanes = new Map([...known.lanes].map(([label, { value }]) => [label, value]));
    if (shards.size === 0 && lanes.size === 0) return;
    const value = checkpointOf(known.checkpoint?.value ?? null, shards, lanes, this.#deps.clock.nowMs());
    if (known.checkpoint !== null && isSameCheckpoint(known.checkpoint.value, value)) return;
    const key = recordKey.checkpoint(known.name);
    const revision = await this.#deps.records.compareAndSet(key, checkpointRecord, value, known.checkpoint?.revision ?? 0);
    if (revision !== null) known.checkpoint = { value, revision };
  }

  #trimmedLanes(): TrimmedLane[] {
    const known = this.#known;
    const groups = known.spec?.value.pipeline.destinations.map(({ group }) => group) ?? [];
    return (known.topology?.value.shards ?? []).flatMap(({ id, lanes }) =>
      Array.from({ length: lanes }, (_, lane) => ({
        shardId: id,
        lane,
        shard: known.shards.get(id)?.value ?? null,
        groups: new Map(groups.map((group) => [group, known.lanes.get(`${group}.${id}.${lane}`)?.value ?? null])),
      })),
    );
  }
}
