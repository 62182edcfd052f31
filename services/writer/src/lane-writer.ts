import type { Bus, Leases, LaneStream } from "@sluice/bus";
import { endpointName, keySlot, slotTag, type Endpoint } from "@sluice/redis";
import { describeFault, Halt, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import {
  BatchError,
  decodeBatch,
  epochRecord,
  groupLaneLabel,
  isBehindMark,
  laneMarkKey,
  laneRecord,
  liveSubject,
  recordKey,
  shardRecord,
  SLOT_COUNT,
  SlotSet,
  slotsOfLane,
  specRecord,
  topologyRecord,
  type Batch,
  type DestinationRecord,
  type DestinationSpec,
  type Position,
  type ShardTopology,
  type TopologyRecord,
} from "@sluice/wire";
import { earlierHistoriesEnded } from "./apply/claim-gate.ts";
import { StandaloneDestination } from "./apply/standalone-destination.ts";
import { StandaloneLane } from "./apply/standalone-lane.ts";
import { ClusterLane } from "./cluster/cluster-lane.ts";
import type { LaneDestination } from "./lane-destination.ts";
import { CopyNeeded, requestCopy } from "./copy-request.ts";
import { LaneReport } from "./lane-report.ts";
import { LaneSession } from "./lane-session.ts";
import { LivePhase } from "./live-phase.ts";
import { AppliedHistory } from "./progress/applied-history.ts";
import { LaneLog } from "./progress/lane-log.ts";
import { logPlace, type LogPlace } from "./progress/log-place.ts";
import type { Projection } from "./project/projection.ts";
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
  readonly existing: DestinationSpec["existing"];
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
  #stopping = new AbortController().signal;
  /** Something failed behind the mark for sure; see `KeyRepair.isLifted`. */
  #isLifted = false;
  readonly #applied = new AppliedHistory();
  /** Up to this epoch the lane can't be continued: only a later one's copy helps. */
  #voidEpoch = -1;
  /** No record says that the lane ever stood anywhere. */
  #isFirst = true;

  constructor(options: LaneWriterOptions) {
    const { pipeline, group, shard, lane, bus, instance, clock, tally } = options;
    this.#options = options;
    this.#label = groupLaneLabel(group, shard, lane);
    this.name = `writer ${pipeline} ${this.#label}`;
    this.#report = new LaneReport(bus.records, pipeline, this.#label, instance, clock, tally);
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
    this.#report.tell({ retry: { endpoint, since, reason: describeFault(fault) } });
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
    const lane = await bus.records.get(recordKey.lane(pipeline, this.#label), laneRecord);
    const spec = await bus.records.get(recordKey.spec(pipeline), specRecord);
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
    this.#report.begin(lane?.revision ?? 0, lane?.value);
    // A start that finds the destination away must not forget that the lane ever stood: it may be empty when it is back.
    if (this.#options.isCopyless === true && epoch > 0 && this.#isFirst)
      this.#report.standsAt({
        position: { epoch, copy, phase: "snap", shard: this.#options.shard, offset: 0, sequence: 0 },
        safeSequence: 0,
      });
    this.#isFirst = epoch === 0;
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
      await this.#follow(signal, progress);
    } catch (cause) {
      if (!(cause instanceof CopyNeeded)) throw cause;
      const { bus, pipeline, shard, clock } = this.#options;
      this.#voidEpoch = Math.max(this.#voidEpoch, cause.epoch);
      await requestCopy(bus.records, pipeline, shard, cause.epoch, cause.message, clock.nowMs());
      throw cause;
    }
  }

  async #follow(signal: AbortSignal, progress: () => void): Promise<void> {
    const { bus, pipeline, shard, lane, existing, projection, clock, log } = this.#options;
    const projected = projection === undefined ? {} : { projection };
    const destination = await this.#open(signal);
    this.#report.standsAt(destination);
    this.#tellLoss(destination);
    const writing = new AbortController();
    const reporting = this.#report.keepWriting(AbortSignal.any([signal, writing.signal]));
    try {
      const stream = bus.stream(pipeline);
      const place = await this.#place(destination, stream);
      if (place.kind === "read") {
        const subject = liveSubject(pipeline, shard, lane);
        await judgeSpan(destination, { stream, subject, shard, label: this.#label, signal, ...projected });
        this.#isLifted = false;
      }
      const session = new LaneSession(destination, {
        pipeline,
        shard,
        lane,
        label: this.#label,
        existing,
        ...projected,
        stream,
        report: this.#report,
        clock,
        log,
        applied: this.#applied,
        isFirst: this.#isFirst,
        signal,
        progress,
        claimed: () => this.#gate(signal),
      });
      await this.#read(session, stream, place, signal);
    } finally {
      destination.close();
      writing.abort();
      await reporting;
      await this.#report.write();
    }
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

  async #open(signal: AbortSignal): Promise<LaneDestination> {
    const { pipeline, group, shard, lane, endpoint, destination, topology, shift, clock } = this.#options;
    const label = this.#label;
    const repair = this.#keyRepair(signal);
    const slots = slotsOfLane(SlotSet.parse(this.#shard?.slots ?? ""), topology.lanes, lane);
    if (destination.mode === "cluster") {
      const seeds = [...destination.nodes, endpoint].map(({ host, port }) => ({
        name: endpointName({ host, port }),
        host,
        port,
      }));
      return ClusterLane.open({ pipeline, group, shard, lane, label, endpoint, seeds, slots, shift, repair, clock, signal });
    }
    const markKey = laneMarkKey(slotTag(0), pipeline, group, shard, lane);
    const target = await StandaloneDestination.open(group, endpoint, markKey, signal);
    const isSole = slots.size === SLOT_COUNT;
    const owns = isSole ? () => true : (key: Buffer) => slots.has(keySlot(key));
    return new StandaloneLane(target, { label, markKey, endpoint, shift, owns, isSole, repair, signal });
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

  async #read(session: LaneSession, stream: LaneStream, place: LogPlace, signal: AbortSignal): Promise<void> {
    const { pipeline, shard, lane, log } = this.#options;
    const { position } = session;
    const isVoid = place.kind !== "read";
    const [from, history] = isVoid ? [1, null] : [place.from, place.history];
    log.info({ mark: position, from }, "lane opened");
    const changes = await LaneLog.open(stream, liveSubject(pipeline, shard, lane), shard, from, signal);
    try {
      let live = new LivePhase(session, changes, isVoid ? this.#voidEpoch : null, history);
      for (let fence = await live.run(); fence !== null; fence = await live.run()) {
        const isLive = await new SnapshotPhase(session, fence).run();
        live = new LivePhase(session, changes, isLive ? null : fence.batch.epoch);
      }
    } finally {
      await changes.close();
    }
  }

  /**
   * Where the log is to be read from. Throws `CopyNeeded` where it can't lead on, `Halt` DST-005 at a mark that nobody here set, DST-021 where
   * only a copy would bring back what is lost, and there is none.
   */
  async #place(destination: LaneDestination, stream: LaneStream): Promise<LogPlace> {
    const { position, reached } = destination;
    const loss = this.#options.isCopyless === true ? this.#lossOf(destination) : null;
    if (loss !== null)
      throw new Halt(
        "DST-021",
        `${this.#options.group} does not hold ${loss} any more, and the pipeline never copies what it lost`,
      );
    if (position === null) return this.#voidEpoch < 0 ? { kind: "read", from: 1, history: null, isBehind: false } : VOID;
    if (position.epoch <= this.#voidEpoch) return VOID;
    const { pipeline, shard, lane, log } = this.#options;
    const subject = liveSubject(pipeline, shard, lane);
    const message = await stream.tail(subject);
    const tail = message === null ? null : { ...readAt(message.payload, message.sequence), sequence: message.sequence };
    await this.#checkEpoch(position, tail?.epoch ?? 0);
    const replid = this.#applied.replidAt(position.epoch, reached);
    const found = position.phase === "live" && position.sequence > 0 ? await stream.at(position.sequence) : null;
    const batch = found?.subject === subject ? readAt(found.payload, found.sequence) : null;
    const isTaken = found !== null && batch === null;
    const place = logPlace({ position, reached, found: isTaken ? "another's" : batch, tail, replid });
    if (place.kind === "lost") throw new CopyNeeded(`lane ${this.#label} can't go on: ${place.why}`, position.epoch);
    if (place.kind === "void") this.#voidEpoch = position.epoch;
    else if (place.isBehind) {
      const what = `the stream lost what led to offset ${reached}, it ends at ${tail?.last ?? 0}`;
      log.warn({ code: "BUS-003" }, `${what}: waiting until the source has sent it again`);
    }
    return place;
  }

  /**
   * Epochs begin above all that a destination holds, unless what counts them is lost, or another pipeline of the name writes
   * there (H6). An epoch that this writer has seen the pipeline in is our own: a copy in a higher one mends it.
   */
  async #checkEpoch(position: Position, stored: number): Promise<void> {
    const { bus, pipeline, group } = this.#options;
    const counter = (await bus.records.get(recordKey.epoch(pipeline), epochRecord))?.value.epoch ?? 0;
    const epoch = Math.max(counter, stored);
    if (position.epoch <= epoch) return this.#applied.begins(position.epoch);
    const what = `the mark in ${group} is of epoch ${position.epoch}, pipeline ${pipeline} is at epoch ${epoch}`;
    if (position.epoch <= this.#applied.epoch) throw new CopyNeeded(what, position.epoch);
    throw new Halt("DST-005", what);
  }
}

const VOID: LogPlace = { kind: "void" };

function readAt(payload: Uint8Array, sequence: number): Batch {
  try {
    return decodeBatch(payload);
  } catch (cause) {
    if (!(cause instanceof BatchError)) throw cause;
    throw new Halt("BUS-004", `message ${sequence}, where the mark stands, can't be read`, { cause });
  }
}
