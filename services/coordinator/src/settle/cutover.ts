import type { Records, Stored } from "@sluice/bus";
import { lookAtDeployment, type Endpoint } from "@sluice/redis";
import { Crew, Halt, openSecret, type Actor, type Clock, type Logger } from "@sluice/runtime";
import {
  cutoverRecord,
  expiryGraceMs,
  recordKey,
  type CutoverRecord,
  type SettlingRecord,
  type SpecRecord,
} from "@sluice/wire";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { laneLabels, laneOf, type KnownPipeline } from "../lifecycle/pipeline-book.ts";
import { setDesired } from "./desired.ts";
import { GroupSettling } from "./group-settling.ts";
import { desiredIn, nextCutover, type CutoverFacts, type CutoverLane } from "./next-cutover.ts";
import { QUIET_MS, SourceWrites, type WriteSample } from "./source-writes.ts";

const ATTEMPTS = 10;

export interface CutoverDeps {
  readonly records: Records;
  readonly secretKey: Buffer | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the life of a pipeline knows at a look. */
export interface CutoverLook {
  readonly spec: SpecRecord;
  readonly trouble: string | null;
  readonly stop: CutoverFacts["stop"];
}

/** Nothing of a destination is settled yet. */
const UNSETTLED: SettlingRecord = {
  isRemarked: false,
  slots: null,
  isDone: false,
  looked: 0,
  expected: 0,
  settled: 0,
  retry: null,
  halt: null,
};

/**
 * Takes a pipeline through its cut-over, one look at a time. Where it stands is in its record and in what the operator is to
 * want of the pipeline (`desiredIn`), written in this order; so another coordinator goes on with either of them.
 */
export class Cutover {
  readonly #known: KnownPipeline;
  readonly #deps: CutoverDeps;
  readonly #crew: Crew;
  /** Begun anew with every asking: what it said before may be long past. */
  #writes: SourceWrites;
  #asking: { readonly source: string; readonly ending: AbortController; readonly ended: Promise<void> } | null = null;
  #quietSamples: ReadonlyMap<string, WriteSample> | null = null;
  #stoppedAtMs: number | null = null;

  /** `known` is kept up to date by the caller. */
  constructor(known: KnownPipeline, deps: CutoverDeps) {
    this.#known = known;
    this.#deps = deps;
    this.#writes = new SourceWrites(deps.clock, deps.log);
    this.#crew = new Crew(deps.clock, deps.log);
  }

  /** To be called at every look. Throws `Retryable` BUS-001. */
  async step(look: CutoverLook): Promise<void> {
    const stored = this.#known.cutover;
    const phase = stored?.value.phase ?? "cancelled";
    this.#ask(look.spec, (phase === "draining" || phase === "stopping") && stored?.value.isForced === false);
    if (stored === null || phase === "cancelled") {
      this.#crew.keep(new Set(), () => never());
      return;
    }
    const next = nextCutover(this.#factsOf(stored.value, look));
    const { drainedAt = stored.value.drainedAt } = next;
    if (next.phase !== phase || next.reason !== stored.value.reason) {
      const groups = { ...Object.fromEntries(this.#groups.map((group) => [group, UNSETTLED])), ...stored.value.groups };
      if (!(await this.#write({ ...stored.value, ...next, drainedAt, groups }, stored.revision))) return;
      if (next.phase !== phase) this.#deps.log.info({ pipeline: this.#known.name, from: phase, to: next.phase }, next.reason);
    }
    await this.#setDesired(look.spec, next.phase);
    this.#settle(look.spec, next.phase === "settling" && this.#isReleased);
  }

  /** Ends all that runs by itself; the next step begins it anew. */
  async stop(): Promise<void> {
    const ended = this.#asking?.ended;
    this.#askNoMore();
    await this.#crew.stop();
    await ended;
  }

  /** The operator may have taken the cut-over back in this moment. */
  async #setDesired(spec: SpecRecord, phase: CutoverRecord["phase"]): Promise<void> {
    const desired = desiredIn(phase);
    if (desired === null || spec.desired === desired) return;
    // What stopped for it runs on; what failed, is paused or checked meanwhile is not for the cut-over to start.
    if (desired === "running" && spec.desired !== "stopped") return;
    const { records } = this.#deps;
    const { name } = this.#known;
    await setDesired(records, name, desired, async () => {
      const current = await records.get(recordKey.cutover(name), cutoverRecord);
      return current?.value.phase === phase;
    });
  }

  get #groups(): string[] {
    return this.#known.spec?.value.pipeline.destinations.map(({ group }) => group) ?? [];
  }

  get #isReleased(): boolean {
    const { shards = {}, lanes = {} } = this.#known.assignment?.value ?? {};
    return Object.keys(shards).length === 0 && Object.keys(lanes).length === 0;
  }

  #factsOf(record: CutoverRecord, { trouble, stop }: CutoverLook): CutoverFacts {
    const { quietMs, failure, failingMs, samples, askedAtMs } = this.#writes;
    const isQuiet = quietMs !== null && quietMs >= QUIET_MS;
    this.#quietSamples = isQuiet ? (this.#quietSamples ?? new Map(samples)) : null;
    if (stop?.isDone !== true) this.#stoppedAtMs = null;
    else this.#stoppedAtMs ??= this.#deps.clock.monotonicMs();
    const isAskedBehindStop = this.#stoppedAtMs !== null && askedAtMs > this.#stoppedAtMs;
    return {
      record,
      trouble,
      stop,
      lanes: this.#lanes(),
      source: { quietMs, failure, failingMs, samples, quietSamples: this.#quietSamples, isAskedBehindStop },
      isReleased: this.#isReleased,
      groups: this.#groups,
    };
  }

  #lanes(): CutoverLane[] {
    return laneLabels(this.#known).map(({ label, shardId }) => {
      const seen = laneOf(this.#known, label)?.value;
      const shard = this.#known.shards.get(shardId)?.value;
      const isLive = seen?.phase === "live" && seen.epoch === shard?.epoch;
      const replid = shard?.phase === "streaming" ? shard.replid : null;
      return { label, shardId, isLive, offset: seen?.offset ?? 0, replid };
    });
  }

  /** Asks the source for its writes for as long as that matters. */
  #ask({ pipeline }: SpecRecord, isWanted: boolean): void {
    const source = JSON.stringify(pipeline.source);
    if (this.#asking !== null && (!isWanted || this.#asking.source !== source)) this.#askNoMore();
    if (!isWanted || this.#asking !== null) return;
    const ending = new AbortController();
    const endpoint = this.#open(pipeline.source);
    const shards = () => this.#known.topology?.value.shards ?? [];
    const ended = endpoint === null ? Promise.resolve() : this.#writes.run(endpoint, shards, ending.signal);
    this.#asking = { source, ending, ended };
  }

  #askNoMore(): void {
    this.#asking?.ending.abort();
    this.#asking = null;
    this.#writes = new SourceWrites(this.#deps.clock, this.#deps.log);
    this.#quietSamples = null;
    this.#stoppedAtMs = null;
  }

  /** Null when it can't be asked for want of a key or a certificate. */
  #open(spec: SpecRecord["pipeline"]["source"]): Endpoint | null {
    try {
      return openEndpoint(spec, (sealed) => openSecret(sealed, this.#deps.secretKey));
    } catch (cause) {
      if (!(cause instanceof Halt)) throw cause;
      this.#deps.log.error({ pipeline: this.#known.name, code: cause.code }, cause.message);
      return null;
    }
  }

  /** An operator who asks again begins those anew that halted: the name of an actor tells since when it is wanted. */
  #settle({ pipeline }: SpecRecord, isWanted: boolean): void {
    const since = this.#known.cutover?.value.since ?? 0;
    const wanted = new Map<string, () => Actor>();
    for (const destination of isWanted ? pipeline.destinations : []) {
      const { group, existing } = destination;
      if (this.#settlingOf(group).isDone) continue;
      wanted.set(`${group} since ${since}`, () => {
        const { secretKey, clock, log } = this.#deps;
        return new GroupSettling({
          pipeline: this.#known.name,
          group,
          existing,
          graceMs: expiryGraceMs(pipeline),
          lanes: pipeline.lanes,
          endpoint: openEndpoint(destination, (sealed) => openSecret(sealed, secretKey)),
          look: async (connections, endpoint) => lookAtDeployment(connections, [endpoint]),
          record: () => this.#settlingOf(group),
          write: (changes) => this.#writeGroup(group, changes),
          clock,
          log: log.child({ pipeline: this.#known.name }),
        });
      });
    }
    this.#crew.keep(new Set(wanted.keys()), (name) => (wanted.get(name) ?? never)());
  }

  #settlingOf(group: string): SettlingRecord {
    return this.#known.cutover?.value.groups[group] ?? UNSETTLED;
  }

  /** Groups settle side by side and share one record. */
  async #writeGroup(group: string, changes: Partial<SettlingRecord>): Promise<void> {
    const { records } = this.#deps;
    const key = recordKey.cutover(this.#known.name);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const current = await records.get(key, cutoverRecord);
      if (current?.value.phase !== "settling") return;
      const groups = { ...current.value.groups, [group]: { ...UNSETTLED, ...current.value.groups[group], ...changes } };
      if (await this.#write({ ...current.value, groups }, current.revision)) return;
    }
    throw new Error(`${key} was changed by others ${ATTEMPTS} times in a row`);
  }

  async #write(value: CutoverRecord, revision: number): Promise<boolean> {
    const key = recordKey.cutover(this.#known.name);
    const written: Stored<CutoverRecord> | null = await this.#deps.records
      .compareAndSet(key, cutoverRecord, value, revision)
      .then((stored) => (stored === null ? null : { value, revision: stored }));
    if (written === null) return false;
    if ((this.#known.cutover?.revision ?? 0) < written.revision) this.#known.cutover = written;
    return true;
  }
}

function never(): never {
  throw new Error("nothing was wanted");
}
