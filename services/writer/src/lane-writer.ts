import type { Bus, Leases, LaneStream } from "@sluice/bus";
import { endpointName, keySlot, slotTag, type Endpoint } from "@sluice/redis";
import { describeFault, Halt, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import {
  BatchError,
  decodeBatch,
  epochRecord,
  groupLaneLabel,
  laneMarkKey,
  laneRecord,
  liveSubject,
  recordKey,
  SLOT_COUNT,
  SlotSet,
  slotsOfLane,
  specRecord,
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
import { LaneLog } from "./progress/lane-log.ts";
import { SnapshotPhase } from "./snapshot/snapshot-phase.ts";
import { isBehindMark, standingHalt } from "./standing-halt.ts";

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
  readonly shift: (expireAtMs: number) => number;
  readonly instance: string;
  readonly bus: Bus;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Logger;
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
  /** Up to this epoch the lane can't be continued: only a later one's copy helps. */
  #voidEpoch = -1;

  constructor(options: LaneWriterOptions) {
    const { pipeline, group, shard, lane, bus, instance, clock } = options;
    this.#options = options;
    this.#label = groupLaneLabel(group, shard, lane);
    this.name = `writer ${pipeline} ${this.#label}`;
    this.#report = new LaneReport(bus.records, pipeline, this.#label, instance, clock);
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
    }
    this.#report.begin(lane?.revision ?? 0);
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
    const { bus, pipeline, shard, lane, existing, log } = this.#options;
    const destination = await this.#open(signal);
    this.#report.standsAt(destination);
    const writing = new AbortController();
    const reporting = this.#report.keepWriting(AbortSignal.any([signal, writing.signal]));
    try {
      const stream = bus.stream(pipeline);
      await this.#checkMark(destination.position, stream);
      const session = new LaneSession(destination, {
        pipeline,
        shard,
        lane,
        label: this.#label,
        existing,
        stream,
        report: this.#report,
        log,
        signal,
        progress,
        claimed: () => this.#gate(signal),
      });
      await this.#read(session, stream, signal);
    } finally {
      destination.close();
      writing.abort();
      await reporting;
      await this.#report.write();
    }
  }

  async #open(signal: AbortSignal): Promise<LaneDestination> {
    const { pipeline, group, shard, lane, endpoint, destination, topology, shift, clock } = this.#options;
    const label = this.#label;
    const slots = slotsOfLane(SlotSet.parse(this.#shard?.slots ?? ""), topology.lanes, lane);
    if (destination.mode === "cluster") {
      const seeds = [...destination.nodes, endpoint].map(({ host, port }) => ({
        name: endpointName({ host, port }),
        host,
        port,
      }));
      return ClusterLane.open({ pipeline, group, shard, lane, label, endpoint, seeds, slots, shift, clock, signal });
    }
    const markKey = laneMarkKey(slotTag(0), pipeline, group, shard, lane);
    const target = await StandaloneDestination.open(group, endpoint, markKey, signal);
    const isSole = slots.size === SLOT_COUNT;
    const owns = isSole ? () => true : (key: Buffer) => slots.has(keySlot(key));
    return new StandaloneLane(target, { label, markKey, endpoint, shift, owns, isSole, signal });
  }

  /** In a cluster each slot's own mark keeps earlier histories out; on one server lanes of several shards may write the same slot. */
  async #gate(signal: AbortSignal): Promise<void> {
    const { destination, topology, pipeline, group, endpoint, clock } = this.#options;
    if (destination.mode === "standalone") await earlierHistoriesEnded({ topology, pipeline, group, endpoint, clock, signal });
  }

  get #shard(): ShardTopology | undefined {
    return this.#options.topology.shards.find(({ id }) => id === this.#options.shard);
  }

  async #read(session: LaneSession, stream: LaneStream, signal: AbortSignal): Promise<void> {
    const { pipeline, shard, lane, log } = this.#options;
    const { position } = session;
    // The message that brought the mark there may hold units behind it: where one of them was refused.
    const isVoid = (position?.epoch ?? 0) <= this.#voidEpoch;
    const from = position?.phase === "live" && !isVoid ? position.sequence : 1;
    log.info({ mark: position, from }, "lane opened");
    const changes = await LaneLog.open(stream, liveSubject(pipeline, shard, lane), from, signal);
    try {
      let live = new LivePhase(session, changes, isVoid ? this.#voidEpoch : null);
      for (let fence = await live.run(); fence !== null; fence = await live.run()) {
        const isLive = await new SnapshotPhase(session, fence).run();
        live = new LivePhase(session, changes, isLive ? null : fence.batch.epoch);
      }
    } finally {
      await changes.close();
    }
  }

  /** A mark from a later history than the pipeline's own, or one whose message is not what it says, can't be built on (H6, H7). */
  async #checkMark(position: Position | null, stream: LaneStream): Promise<void> {
    if (position === null) return;
    const { bus, pipeline, group, shard, lane } = this.#options;
    const epoch = (await bus.records.get(recordKey.epoch(pipeline), epochRecord))?.value.epoch ?? 0;
    if (position.epoch > epoch) {
      throw new Halt(
        "DST-005",
        `the mark in ${group} is of epoch ${position.epoch}, pipeline ${pipeline} is at epoch ${epoch}`,
      );
    }
    if (position.phase !== "live" || position.epoch <= this.#voidEpoch) return;
    const message = await stream.at(position.sequence);
    const batch = message === null ? null : readAt(message.payload, position.sequence);
    if (batch?.epoch === position.epoch && batch.last >= position.offset && batch.previous <= position.offset) return;
    const tail = await stream.tail(liveSubject(pipeline, shard, lane));
    const stored = tail === null ? null : readAt(tail.payload, tail.sequence).epoch;
    if (message === null && tail !== null && tail.sequence > position.sequence && stored === position.epoch) return;
    if (stored === null || stored > position.epoch) {
      // The stream was made anew: a copy is on its way, or here.
      this.#voidEpoch = position.epoch;
      return;
    }
    throw new CopyNeeded(
      `lane ${this.#label} stands behind message ${position.sequence}, which the stream does not hold any more`,
      position.epoch,
    );
  }
}

function readAt(payload: Uint8Array, sequence: number): Batch {
  try {
    return decodeBatch(payload);
  } catch (cause) {
    if (!(cause instanceof BatchError)) throw cause;
    throw new Halt("BUS-004", `message ${sequence}, where the mark stands, can't be read`, { cause });
  }
}
