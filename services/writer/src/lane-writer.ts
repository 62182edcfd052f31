import { requestCopy, type Bus, type Leases, type LaneStream } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { describeFault, Halt, Retryable, reasonOf, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import {
  FIRST_COPY,
  groupLaneLabel,
  isBehindMark,
  laneRecord,
  liveSubject,
  recordKey,
  shardRecord,
  SlotSet,
  slotsOfLane,
  specRecord,
  topologyRecord,
  type Addition,
  type DestinationRecord,
  type DestinationSpec,
  type ServedCopy,
  type ShardTopology,
  type SpecRecord,
  type TopologyRecord,
} from "@sluice/wire";
import { earlierHistoriesEnded } from "./apply/claim-gate.ts";
import { FirstCopy } from "./copies/first-copy.ts";
import { GroupCopy } from "./copies/group-copy.ts";
import { isStanding, joiningOf } from "./copies/joining.ts";
import { LaneCopies } from "./copies/lane-copies.ts";
import type { Keeping } from "./keep/keeping.ts";
import { keepingOf, projected } from "./keep/lane-keep.ts";
import type { LaneDestination } from "./lane-destination.ts";
import { openLane } from "./lane-opening.ts";
import { CopyNeeded } from "./copy-needed.ts";
import { LaneReport } from "./lane-report.ts";
import { LaneSession } from "./lane-session.ts";
import { LivePhase } from "./live-phase.ts";
import { AppliedHistory } from "./progress/applied-history.ts";
import { LaneLog } from "./progress/lane-log.ts";
import { findPlace, historyAhead } from "./progress/find-place.ts";
import type { LogPlace } from "./progress/log-place.ts";
import type { Projection } from "./project/projection.ts";
import { Rewriting } from "./rewrite/rewriting.ts";
import { judgeSpan } from "./repair/judge-span.ts";
import { KeyRepair, type DivergencePolicy } from "./repair/key-repair.ts";
import { SnapshotPhase } from "./snapshot/snapshot-phase.ts";
import { standingHalt } from "./standing-halt.ts";
import type { WriterTally } from "./writer-tally.ts";

export interface LaneWriterOptions {
  readonly pipeline: string;
  readonly group: string;
  readonly shard: string;
  readonly lane: number;
  /** Credentials and TLS of every server of the destination; host and port are of the one that the pipeline names. */
  readonly endpoint: Endpoint;
  readonly destination: DestinationRecord;
  readonly topology: TopologyRecord;
  /** How the group came to the pipeline; absent for one that was there from the beginning. */
  readonly addition?: Addition;
  readonly existing: DestinationSpec["existing"];
  /** What becomes of what the destination can't hold; halt where absent. */
  readonly unsupported?: DestinationSpec["unsupported"];
  /** The pipeline is of changes alone: what a destination loses is never copied anew. Default false. */
  readonly isCopyless?: boolean;
  /** What the group gets of the source; everything where absent. */
  readonly projection?: Projection;
  readonly shift: (expireAtMs: number) => number;
  /** What to do about a command that fails behind the mark, and the credentials and TLS of the source's servers; halt where absent. */
  readonly divergence?: { readonly policy: DivergencePolicy; readonly source: Endpoint };
  readonly instance: string;
  readonly bus: Bus;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where what the lane does is counted for its process. */
  readonly tally?: WriterTally;
}

/**
 * The writer of one lane of one group. Every run asks the destination where the lane stands and goes on from there, so it can
 * be killed at any point and run anywhere else. One thing the mark can't tell: that a unit before it failed inside its EXEC. That
 * is in the lane's record, and the lane stays halted until the pipeline is started again.
 *
 *     lease ▶ halted? ▶ connect ▶ mark ─┬─ live ──────────────▶ changes ─┐ fence of a new epoch
 *                                       └─ snap, none ▶ fence ▶ copy ◀───┘
 */
export class LaneWriter implements Actor {
  readonly name: string;
  readonly #options: LaneWriterOptions;
  readonly #label: string;
  readonly #report: LaneReport;
  /** Which copy serves the lane, where its group was added later; null where it is always the one that an epoch begins with. */
  readonly #copies: LaneCopies | null;
  #stopping = new AbortController().signal;
  /** Something failed behind the mark for sure; see `KeyRepair.isLifted`. */
  #isLifted = false;
  readonly #applied = new AppliedHistory();
  /** Up to this epoch the lane can't be continued: only a later one's copy helps. */
  #voidEpoch = -1;
  /** No record says that the lane ever stood anywhere. */
  #isFirst = true;
  /** Where the lane's record says that it was live when the lane began, of this addition of its group; null where it says nothing. */
  #stood: ServedCopy | null = null;

  constructor(options: LaneWriterOptions) {
    const { pipeline, group, shard, lane, bus, addition, instance, clock, tally } = options;
    this.#options = options;
    this.#label = groupLaneLabel(group, shard, lane);
    this.name = `writer ${pipeline} ${this.#label}`;
    this.#report = new LaneReport(bus.records, pipeline, this.#label, instance, clock, tally, addition?.number);
    const of = { ...options, records: bus.records, stream: bus.stream(pipeline), report: this.#report };
    this.#copies = addition === undefined ? null : new LaneCopies({ ...of, addition });
    // Ingest will not finish a copy at or below the floor; to begin with one would be to wait at the gate for oneself.
    const floor = this.#shard?.floor ?? 0;
    if (floor > 0) this.#voidEpoch = floor;
  }

  async run(stopping: AbortSignal, progress: () => void): Promise<void> {
    const { leases, pipeline, log } = this.#options;
    this.#stopping = stopping;
    await leases.during(`writer.${pipeline}.${this.#label}`, stopping, async (signal) => {
      await this.#begin();
      try {
        await this.#work(signal, progress);
      } catch (cause) {
        // Under the lease: whoever has the lane next reads it before it reads the mark.
        if (cause instanceof Halt && isBehindMark(cause)) await this.#tellHalt(cause);
        if (cause instanceof Halt && stopping.aborted) log.error({ code: cause.code }, describeFault(cause));
        throw cause;
      }
    });
  }

  retrying(fault: Fault, since: number): void {
    const endpoint = "endpoint" in fault ? String(fault.endpoint) : "sluice";
    this.#report.tell({ retry: { endpoint, since, reason: reasonOf(fault) } });
  }

  halted(fault: Fault): void {
    void this.#tellHalt(fault);
  }

  recovered(): void {
    this.#report.tell({ retry: null });
  }

  /** Throws the halt that the lane has to stay with. */
  async #begin(): Promise<void> {
    const { bus, pipeline, log } = this.#options;
    const record = await bus.records.get(recordKey.lane(pipeline, this.#label), laneRecord);
    const spec = await bus.records.get(recordKey.spec(pipeline), specRecord);
    this.#checkGroup(spec?.value ?? null);
    // What is left of an earlier time of the group in the pipeline says nothing of this one.
    const lane = record?.value.addition === this.#options.addition?.number ? record : null;
    const halt = standingHalt(lane, spec);
    if (halt !== null) throw halt;
    const lifted = lane?.value.halt ?? null;
    if (lifted !== null && isBehindMark(lifted)) {
      log.warn(
        { code: lifted.code, halt: lifted.message },
        "the pipeline was started again: going on behind a unit that failed",
      );
      this.#isLifted = true;
    }
    const { epoch = 0, copy = 1 } = lane?.value ?? {};
    this.#report.begin(record?.revision ?? 0, lane?.value);
    // A start that finds the destination away must not forget that the lane ever stood: it may be empty when it is back.
    if (this.#options.isCopyless === true && epoch > 0 && this.#isFirst)
      this.#report.standsAt({
        position: { epoch, copy, phase: "snap", shard: this.#options.shard, offset: 0, sequence: 0 },
        safeSequence: 0,
      });
    this.#isFirst = epoch === 0;
    this.#stood = lane?.value.phase === "live" ? { epoch, copy, isStored: true } : null;
  }

  /** The group may have been taken away and added again: another copy serves it then, and another writer. Throws `Retryable` PIP-018. */
  #checkGroup(spec: SpecRecord | null): void {
    const { group, pipeline, addition } = this.#options;
    if (spec === null || spec.additions?.[group]?.number === addition?.number) return;
    throw new Retryable("PIP-018", "sluice", `group ${group} of ${pipeline} was taken away, or added anew`);
  }

  async #tellHalt(fault: Fault): Promise<void> {
    const { clock, log } = this.#options;
    const { code, remedy } = fault;
    const message = describeFault(fault);
    const waiting = (why: Fault | null): void => {
      if (why !== null) log.error({ code, halt: message }, `halted, and the record can't say so yet: ${describeFault(why)}`);
    };
    await this.#report
      .halted({ code, message, remedy, at: clock.nowMs() }, this.#stopping, waiting)
      .catch((cause: unknown) => log.error({ code, halt: message }, `halted, and no record says so: ${describeFault(cause)}`));
  }

  async #work(signal: AbortSignal, progress: () => void): Promise<void> {
    try {
      for (let isAgain = true; isAgain && !signal.aborted;) isAgain = await this.#follow(signal, progress);
    } catch (cause) {
      if (!(cause instanceof CopyNeeded)) throw cause;
      const { bus, pipeline, shard, clock } = this.#options;
      const refusal = (await this.#copies?.refuse(cause)) ?? "epoch";
      if (refusal !== "asked") this.#voidEpoch = Math.max(this.#voidEpoch, cause.epoch);
      if (refusal === "epoch") await requestCopy(bus.records, pipeline, shard, cause.epoch, cause.message, clock.nowMs());
      throw cause;
    }
  }

  /** True when another copy serves the lane now: it is to begin anew. */
  async #follow(signal: AbortSignal, progress: () => void): Promise<boolean> {
    const { bus, pipeline, shard, lane, existing, clock, log } = this.#options;
    const stood = await this.#standing();
    const served = stood ?? (await this.#copies?.awaited(signal, this.#voidEpoch + 1)) ?? null;
    if (this.#copies !== null && served === null) return false;
    const keeping = keepingOf(this.#options, this.#label);
    const destination = await this.#open(signal, keeping);
    if (stood !== null && !isStanding(destination.position, stood)) {
      destination.close();
      return true;
    }
    const scope = projected(this.#options, keeping);
    const joining = await this.#joiningOf(destination, served);
    // An older mark says nothing of where the lane stands.
    if (joining === null) this.#report.standsAt(destination);
    this.#tellLoss(destination);
    const writing = new AbortController();
    const reporting = this.#report.keepWriting(AbortSignal.any([signal, writing.signal]));
    try {
      const stream = bus.stream(pipeline);
      const place = joining === null ? await this.#place(destination, stream) : null;
      if (place?.kind === "read") {
        const subject = liveSubject(pipeline, shard, lane);
        const rewriting = this.#rewritingFor(destination, () => undefined);
        await judgeSpan(destination, { stream, subject, shard, label: this.#label, signal, ...scope, rewriting });
        this.#isLifted = false;
      }
      const session = new LaneSession(destination, {
        pipeline,
        shard,
        lane,
        label: this.#label,
        existing,
        ...scope,
        rewriting: this.#rewritingFor(destination, (commands) => this.#report.leftOut(commands)),
        stream,
        report: this.#report,
        clock,
        log,
        applied: this.#applied,
        isFirst: this.#isFirst,
        floor: this.#shard?.floor ?? 0,
        signal,
        progress,
        claimed: () => this.#gate(signal),
      });
      session.tellKept();
      return place === null ? await this.#join(session, joining) : await this.#read(session, stream, place, signal);
    } finally {
      destination.close();
      writing.abort();
      await reporting;
      await this.#report.write();
    }
  }

  /** The copy with which the lane goes on, whatever other copy serves its group by now; to be asked for once, since it may prove untrue. */
  async #standing(): Promise<ServedCopy | null> {
    const stood = this.#stood;
    this.#stood = null;
    if (this.#copies === null || stood === null || stood.epoch <= this.#voidEpoch) return null;
    return (await this.#copies.goesOn(stood)) ? stood : null;
  }

  /** What of the lane was in the destination before, and is gone. */
  #lossOf({ position, lost }: LaneDestination): string | null {
    return position === null && !this.#isFirst ? "the mark of the lane" : lost;
  }

  #tellLoss(destination: LaneDestination): void {
    const { log, group, isCopyless = false } = this.#options;
    const what = this.#lossOf(destination);
    if (what === null || isCopyless) return;
    log.warn({ code: "DST-008" }, `${group} does not hold ${what} any more: what it lost is copied anew`);
  }

  async #open(signal: AbortSignal, keeping: Keeping | null): Promise<LaneDestination> {
    const { lane, topology } = this.#options;
    const slots = slotsOfLane(SlotSet.parse(this.#shard?.slots ?? ""), topology.lanes, lane);
    const [label, repair] = [this.#label, this.#keyRepair(signal)];
    const countLeftOut = this.#report.leftOut.bind(this.#report);
    return openLane(this.#options, { label, slots, repair, keeping, countLeftOut, signal });
  }

  /** `count`: told of commands that were left out. */
  #rewritingFor({ abilities }: LaneDestination, count: (commands: number) => void): Rewriting {
    const { group, unsupported = "halt", divergence, log } = this.#options;
    return new Rewriting(abilities, { group, unsupported, divergence: divergence?.policy ?? "halt", log, count });
  }

  #keyRepair(signal: AbortSignal): KeyRepair {
    const { bus, pipeline, shard, endpoint, divergence, projection, log } = this.#options;
    const isBySlot = this.#options.topology.mode === "cluster";
    const { policy, source } = divergence ?? { policy: "halt", source: endpoint };
    const server = async (): Promise<Endpoint> => {
      const topology = await bus.records.get(recordKey.topology(pipeline), topologyRecord);
      const place = topology?.value.shards.find(({ id }) => id === shard) ?? source;
      return { ...source, host: place.host, port: place.port };
    };
    const history = async () => (await bus.records.get(recordKey.shard(pipeline, shard), shardRecord))?.value ?? null;
    const count = this.#report.diverged.bind(this.#report);
    const differing = (isSo: boolean): void => {
      this.#isLifted = isSo;
    };
    const told = { differing, log, signal, count };
    const mapped = projection === undefined ? {} : { databaseAt: projection.sourceOf.bind(projection) };
    return new KeyRepair({ policy, shard, source: server, history, isLifted: this.#isLifted, isBySlot, ...mapped, ...told });
  }

  /** In a cluster each slot's own mark keeps earlier histories out; on one server lanes of several shards may write the same slot. */
  async #gate(signal: AbortSignal): Promise<void> {
    const { destination, topology, pipeline, group, endpoint, clock } = this.#options;
    if (destination.mode === "standalone") await earlierHistoriesEnded({ topology, pipeline, group, endpoint, clock, signal });
  }

  get #shard(): ShardTopology | undefined {
    return this.#options.topology.shards.find(({ id }) => id === this.#options.shard);
  }

  /** The copy that the lane has to write before it goes on anywhere; null where it goes on from its mark. */
  async #joiningOf({ position }: LaneDestination, served: ServedCopy | null): Promise<ServedCopy | null> {
    const joining = served === null ? "follow" : joiningOf(position, served);
    if (joining !== "outdone" || position === null) return joining === "join" ? served : null;
    await this.#copies?.outdone(position);
    throw new Retryable(
      "BUS-003",
      "bus",
      `the mark of lane ${this.#label} is of copy ${position.copy}, which no record tells of`,
    );
  }

  /** Writes the group's own copy. Always true: live or not, the lane goes on from what its mark says then. */
  async #join(session: LaneSession, served: ServedCopy | null): Promise<boolean> {
    if (this.#copies === null || served === null) return true;
    this.#options.log.info({ mark: session.position, ...served }, "lane opened for a copy of its group");
    await new SnapshotPhase(session, new GroupCopy(session, this.#copies, served)).run();
    return true;
  }

  /** As `#follow`. */
  async #read(session: LaneSession, stream: LaneStream, place: LogPlace, signal: AbortSignal): Promise<boolean> {
    const { pipeline, shard, lane, log } = this.#options;
    const { position } = session;
    const isVoid = place.kind !== "read";
    const [from, history] = isVoid ? [1, null] : [place.from, place.history];
    log.info({ mark: position, from }, "lane opened");
    const changes = await LaneLog.open(stream, liveSubject(pipeline, shard, lane), shard, from, signal);
    try {
      let live = new LivePhase(session, changes, isVoid ? this.#voidEpoch : null, history);
      for (let fence = await live.run(); fence !== null; fence = await live.run()) {
        const { epoch } = fence.batch;
        const served = (await this.#copies?.awaited(signal, epoch)) ?? null;
        if (this.#copies !== null && served === null) return false;
        if (served?.epoch === epoch && served.copy !== FIRST_COPY) return true;
        const isPassed = served !== null && served.epoch > epoch;
        const isLive = !isPassed && (await new SnapshotPhase(session, new FirstCopy(session, fence)).run());
        live = new LivePhase(session, changes, isLive ? null : epoch, historyAhead(session.destination, this.#applied));
      }
      return false;
    } finally {
      await changes.close();
    }
  }

  /**
   * Where the log is to be read from. Throws `CopyNeeded` where it can't lead on, `Halt` DST-005 at a mark that nobody here set, DST-021 where
   * only a copy would bring back what is lost, and there is none.
   */
  async #place(destination: LaneDestination, stream: LaneStream): Promise<LogPlace> {
    const { position } = destination;
    const loss = this.#options.isCopyless === true ? this.#lossOf(destination) : null;
    if (loss !== null)
      throw new Halt(
        "DST-021",
        `${this.#options.group} does not hold ${loss} any more, and the pipeline never copies what it lost`,
      );
    if (position === null) return this.#voidEpoch < 0 ? { kind: "read", from: 1, history: null, isBehind: false } : VOID;
    if (position.epoch <= this.#voidEpoch) return VOID;
    const place = await findPlace(position, destination, {
      ...this.#options,
      label: this.#label,
      records: this.#options.bus.records,
      stream,
      applied: this.#applied,
    });
    if (place.kind === "void") this.#voidEpoch = position.epoch;
    return place;
  }
}

const VOID: LogPlace = { kind: "void" };
