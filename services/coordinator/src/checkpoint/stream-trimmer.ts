import type { LaneStream } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";
import {
  FIRST_COPY,
  laneLabel,
  liveSubject,
  snapSubject,
  type Addition,
  type LaneRecord,
  type ShardRecord,
} from "@sluice/wire";
import type { AbandonedLane } from "./abandoned-lanes.ts";
import { isEndOfCopy } from "./copy-end.ts";
import { CopyTrim, finishedCopy, isPast, LaneTrim } from "./trim.ts";

/** One lane of a source shard with the records of every group that reads it. */
export interface TrimmedLane {
  readonly shardId: string;
  readonly lane: number;
  readonly shard: ShardRecord | null;
  readonly groups: ReadonlyMap<string, LaneRecord | null>;
  /** How those groups came to the pipeline that were added later. */
  readonly additions?: Readonly<Record<string, Addition>>;
}

/** Removes from the stream of one pipeline what no group needs any more; what that is say `LaneTrim` and `CopyTrim`. */
export class StreamTrimmer {
  readonly #pipeline: string;
  readonly #stream: LaneStream;
  #keepAppliedMs: number;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #lanes = new Map<string, LaneTrim>();
  readonly #copies = new Map<string, CopyTrim>();
  readonly #emptied = new Map<string, string>();
  readonly #left = new Set<string>();

  constructor(pipeline: string, stream: LaneStream, keepAppliedMs: number, clock: Clock, log: Logger) {
    this.#pipeline = pipeline;
    this.#stream = stream;
    this.#keepAppliedMs = keepAppliedMs;
    this.#clock = clock;
    this.#log = log;
  }

  /** What is applied is kept for so long from now on. Where that is another time than before, it is noted anew what was applied when. */
  keep(keepAppliedMs: number): void {
    if (keepAppliedMs === this.#keepAppliedMs) return;
    this.#keepAppliedMs = keepAppliedMs;
    this.#lanes.clear();
    this.#copies.clear();
  }

  /**
   * To be called about once a second, with the lanes that there are and those that are gone. `isUrgent`: what is applied goes at
   * once. Throws `Retryable` BUS-001.
   */
  async trim(lanes: readonly TrimmedLane[], abandoned: readonly AbandonedLane[] = [], isUrgent = false): Promise<void> {
    for (const { shardId, lane } of lanes) this.#left.delete(laneLabel(shardId, lane));
    for (const lane of abandoned) await this.#leave(lane);
    for (const lane of lanes) {
      await this.#trimLive(lane, isUrgent);
      await this.#emptyCopy(lane, isUrgent);
      await this.#emptyGroupCopies(lane, isUrgent);
    }
  }

  async #trimLive({ shardId, lane, groups }: TrimmedLane, isUrgent: boolean): Promise<void> {
    const label = laneLabel(shardId, lane);
    const trim = this.#lanes.get(label) ?? new LaneTrim(this.#keepAppliedMs);
    this.#lanes.set(label, trim);
    const nowMs = this.#clock.monotonicMs();
    trim.note(nowMs, groups);
    const below = trim.due(nowMs, isUrgent);
    if (below === null) return;
    const subject = liveSubject(this.#pipeline, shardId, lane);
    const tail = await this.#stream.tail(subject);
    if (tail !== null) {
      const removed = await this.#stream.trim(subject, Math.min(below, tail.sequence));
      this.#log.debug({ lane: label, removed }, "stream trimmed");
    }
    trim.done(nowMs, isUrgent);
  }

  /**
   * All but the last messages, by which whoever gets the lane again continues its subjects. Of copies for groups that were added later those,
   * too: no copy ever uses their subjects again.
   */
  async #leave({ shardId, lane, copies }: AbandonedLane): Promise<void> {
    const label = laneLabel(shardId, lane);
    if (this.#left.has(label)) return;
    const remove = async (subject: string, kept: number): Promise<number> => {
      const tail = await this.#stream.tail(subject);
      return tail === null ? 0 : this.#stream.trim(subject, tail.sequence + 1 - kept);
    };
    let removed = await remove(liveSubject(this.#pipeline, shardId, lane), 1);
    for (const copy of copies)
      removed += await remove(snapSubject(this.#pipeline, copy, shardId, lane), copy === FIRST_COPY ? 1 : 0);
    this.#left.add(label);
    this.#lanes.delete(label);
    for (const own of [label, ...copies.map((copy) => `${label} ${copy}`)]) {
      this.#copies.delete(own);
      this.#emptied.delete(own);
    }
    if (removed > 0) this.#log.info({ lane: label, removed }, "lane is gone; its messages are removed");
  }

  /** Copies for groups that were added later, once these are past them: no copy ever uses the subject again, so that it goes as a whole. */
  async #emptyGroupCopies({ shardId, lane, shard, groups, additions = {} }: TrimmedLane, isUrgent: boolean): Promise<void> {
    for (const { epoch, copy, phase, groups: served } of shard?.copies ?? []) {
      const label = `${laneLabel(shardId, lane)} ${copy}`;
      if (phase !== "stored" || epoch !== shard?.epoch || this.#emptied.has(label)) continue;
      const own = Object.keys(served).filter((group) => groups.has(group) && additions[group]?.number === served[group]);
      // One that serves nobody any more is for ingest to remove.
      const areAllPast =
        own.length > 0 && own.every((group) => isPast(groups.get(group) ?? null, { epoch, copy }, served[group]));
      const whole = areAllPast ? { epoch, copy } : null;
      const trim = this.#copies.get(label) ?? new CopyTrim(this.#keepAppliedMs);
      this.#copies.set(label, trim);
      const kept = trim.due(this.#clock.monotonicMs(), whole);
      if ((isUrgent ? whole : kept) === null) continue;
      const subject = snapSubject(this.#pipeline, copy, shardId, lane);
      const tail = await this.#stream.tail(subject);
      if (tail !== null) {
        const removed = await this.#stream.trim(subject, tail.sequence + 1);
        this.#log.info(
          { lane: label, epoch, copy, removed },
          "a copy for groups that were added is applied; its messages are removed",
        );
      }
      this.#emptied.set(label, `${epoch}.${copy}`);
    }
  }

  /**
   * A later epoch uses the same subject again, and ingest may begin it at any moment: so only what stands before the end of
   * the finished copy is removed, and only when the subject's last message is that end.
   */
  async #emptyCopy({ shardId, lane, shard, groups }: TrimmedLane, isUrgent: boolean): Promise<void> {
    const label = laneLabel(shardId, lane);
    const trim = this.#copies.get(label) ?? new CopyTrim(this.#keepAppliedMs);
    this.#copies.set(label, trim);
    const whole = shard === null ? null : finishedCopy(shard, groups.values());
    const kept = trim.due(this.#clock.monotonicMs(), whole);
    const finished = isUrgent ? whole : kept;
    if (finished === null) return;
    const { epoch, copy } = finished;
    if (this.#emptied.get(label) === `${epoch}.${copy}`) return;
    const subject = snapSubject(this.#pipeline, copy, shardId, lane);
    const tail = await this.#stream.tail(subject);
    if (tail !== null) {
      if (!isEndOfCopy(epoch, tail.payload)) return;
      const removed = await this.#stream.trim(subject, tail.sequence);
      this.#log.info({ lane: label, epoch, copy, removed }, "copy is applied; its messages are removed");
    }
    this.#emptied.set(label, `${epoch}.${copy}`);
  }
}
