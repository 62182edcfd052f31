import type { Bus, Leases, LaneStream } from "@sluice/bus";
import { endpointName, keySlot, slotTag, type Endpoint } from "@sluice/redis";
import { describeFault, Halt, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import {
  BatchError,
  decodeBatch,
  epochRecord,
  groupLaneLabel,
  laneMarkKey,
  liveSubject,
  recordKey,
  SLOT_COUNT,
  SlotSet,
  slotsOfLane,
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
import { LaneReport } from "./lane-report.ts";
import { LaneSession } from "./lane-session.ts";
import { LivePhase } from "./live-phase.ts";
import { LaneLog } from "./progress/lane-log.ts";
import { SnapshotPhase } from "./snapshot/snapshot-phase.ts";

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
 * The writer of one lane of one group. Every run asks the destination where the lane stands and goes on from there; nothing
 * else is remembered, so it can be killed at any point and run anywhere else.
 *
 *     lease ▶ connect ▶ mark ─┬─ live ──────────────▶ changes ─┐ fence of a new epoch
 *                             └─ snap, none ▶ fence ▶ copy ◀───┘
 */
export class LaneWriter implements Actor {
  readonly name: string;
  readonly #options: LaneWriterOptions;
  readonly #label: string;
  readonly #report: LaneReport;

  constructor(options: LaneWriterOptions) {
    const { pipeline, group, shard, lane, bus, instance, clock } = options;
    this.#options = options;
    this.#label = groupLaneLabel(group, shard, lane);
    this.name = `writer ${pipeline} ${this.#label}`;
    this.#report = new LaneReport(bus.records, pipeline, this.#label, instance, clock);
  }

  async run(stopping: AbortSignal, progress: () => void): Promise<void> {
    const { leases, pipeline } = this.#options;
    await leases.during(`writer.${pipeline}.${this.#label}`, stopping, (signal) => this.#work(signal, progress));
  }

  retrying(fault: Fault, since: number): void {
    const endpoint = "endpoint" in fault ? String(fault.endpoint) : "sluice";
    this.#report.tell({ retry: { endpoint, since, reason: describeFault(fault) } });
  }

  halted(fault: Fault): void {
    const { clock } = this.#options;
    this.#report.tell({ halt: { code: fault.code, message: describeFault(fault), remedy: fault.remedy, at: clock.nowMs() } });
  }

  recovered(): void {
    this.#report.tell({ retry: null });
  }

  async #work(signal: AbortSignal, progress: () => void): Promise<void> {
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
      await this.#follow(session, stream, signal);
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

  async #follow(session: LaneSession, stream: LaneStream, signal: AbortSignal): Promise<void> {
    const { pipeline, shard, lane, log } = this.#options;
    const { position } = session;
    // The message that brought the mark there may hold units behind it: where one of them was refused.
    const from = position?.phase === "live" ? position.sequence : 1;
    log.info({ mark: position, from }, "lane opened");
    const changes = await LaneLog.open(stream, liveSubject(pipeline, shard, lane), from, signal);
    try {
      let live = new LivePhase(session, changes);
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
    if (position.phase !== "live") return;
    const message = await stream.at(position.sequence);
    if (message === null) {
      const tail = await stream.tail(liveSubject(pipeline, shard, lane));
      if (tail !== null && tail.sequence > position.sequence) return;
    } else {
      const batch = readAt(message.payload, position.sequence);
      if (batch.epoch === position.epoch && batch.last >= position.offset && batch.previous <= position.offset) return;
    }
    throw new Halt(
      "BUS-003",
      `lane ${this.#label} stands behind message ${position.sequence}, which the stream does not hold any more`,
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
