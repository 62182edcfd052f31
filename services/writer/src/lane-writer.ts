import type { Bus, Leases, LaneStream } from "@sluice/bus";
import { slotTag, type Endpoint } from "@sluice/redis";
import { describeFault, Halt, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import {
  decodeBatch,
  epochRecord,
  groupLaneLabel,
  laneMarkKey,
  liveSubject,
  recordKey,
  type DestinationSpec,
  type Position,
} from "@sluice/wire";
import { StandaloneDestination } from "./apply/standalone-destination.ts";
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
  readonly endpoint: Endpoint;
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
    const lease = await leases.acquire(`writer.${pipeline}.${this.#label}`, stopping);
    if (lease === null) return;
    const ended = new AbortController();
    const signal = AbortSignal.any([stopping, lease.lost, ended.signal]);
    try {
      await this.#work(signal, progress);
    } finally {
      ended.abort();
      await lease.release();
    }
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
    const { bus, pipeline, group, shard, lane, endpoint } = this.#options;
    const markKey = laneMarkKey(slotTag(0), pipeline, group, shard, lane);
    const target = await StandaloneDestination.open(group, endpoint, markKey, signal);
    if (target.position !== null) this.#report.standsAt(target.position);
    const writing = new AbortController();
    const reporting = this.#report.keepWriting(AbortSignal.any([signal, writing.signal]));
    try {
      const stream = bus.stream(pipeline);
      await this.#checkMark(target.position, stream);
      const session = new LaneSession(target, { ...this.#options, label: this.#label, markKey, stream, report: this.#report, signal, progress });
      await this.#follow(session, stream, signal);
    } finally {
      target.close();
      writing.abort();
      await reporting;
      await this.#report.write();
    }
  }

  async #follow(session: LaneSession, stream: LaneStream, signal: AbortSignal): Promise<void> {
    const { pipeline, shard, lane, endpoint, log } = this.#options;
    const { position } = session;
    const from = position?.phase === "live" ? position.sequence + 1 : 1;
    log.info({ mark: position, from }, "lane opened");
    const changes = await LaneLog.open(stream, liveSubject(pipeline, shard, lane), from, signal);
    try {
      let live = new LivePhase(session, changes);
      for (let fence = await live.run(); fence !== null; fence = await live.run()) {
        const isLive = await new SnapshotPhase(session, endpoint, fence).run();
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
      throw new Halt("DST-005", `the mark in ${group} is of epoch ${position.epoch}, pipeline ${pipeline} is at epoch ${epoch}`);
    }
    if (position.phase !== "live") return;
    const message = await stream.at(position.sequence);
    if (message === null) {
      const tail = await stream.tail(liveSubject(pipeline, shard, lane));
      if (tail !== null && tail.sequence > position.sequence) return;
    } else {
      const batch = decodeBatch(message.payload);
      if (batch.epoch === position.epoch && batch.last >= position.offset && batch.previous <= position.offset) return;
    }
    throw new Halt("BUS-003", `lane ${this.#label} stands behind message ${position.sequence}, which the stream does not hold any more`);
  }
}
