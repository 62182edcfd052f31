import { slotTag } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import {
  compareHistories,
  laneMarkKey,
  MarkError,
  parseMark,
  SLOT_COUNT,
  slotMarkKey,
  type Judged,
  type MarkedHistory,
  type Position,
  type SlotSet,
} from "@sluice/wire";

/** A mark as it stands in a destination, with what it says. */
export interface KnownMark {
  readonly text: string;
  readonly position: Position;
  /** What of it nobody may know how it went, see `Position.judged`; `position` is without it. */
  readonly judged?: Judged;
}

/** Names of one lane's marks in a cluster. */
export interface MarkNames {
  readonly pipeline: string;
  readonly group: string;
  readonly shard: string;
  readonly lane: number;
}

export function slotMark(names: MarkNames, slot: number): string {
  return slotMarkKey(slotTag(slot), names.pipeline, names.group);
}

/** The lane's watermark on the node where `slot` is the lane's lowest. */
export function watermark(names: MarkNames, slot: number): string {
  return laneMarkKey(slotTag(slot), names.pipeline, names.group, names.shard, names.lane);
}

/** How far a slot is: everything above is to be applied. Infinite where a later history than the lane's owns the slot. */
const UNKNOWN = -1;

/**
 * The marks of one lane in a cluster: one for each slot, which says what of the slot is applied, and watermarks, each of which
 * says that of the whole lane everything up to there is.
 *
 * A slot without traffic keeps an old mark; the watermarks tell it from one that lost writes. They stand on every node that
 * serves the lane, with the tag of the lane's lowest slot there, and travel with it when the slot moves; all that are found
 * count, and the lowest says where the lane goes on (H10).
 */
export class ClusterMarks {
  readonly #slots: SlotSet;
  readonly #marks = new Map<number, KnownMark>();
  readonly #watermarks = new Map<number, KnownMark>();
  readonly #applied = new Float64Array(SLOT_COUNT).fill(UNKNOWN);

  constructor(slots: SlotSet) {
    this.#slots = slots;
  }

  /** Takes a mark as read; `where`: its key and its node. Throws `Halt` DST-005 when it is none. */
  take(kind: "slot" | "watermark", slot: number, text: string | null, where: string): void {
    if (text === null || text === "") return;
    try {
      const { judged, ...position } = parseMark(text);
      const known = { text, position, ...(judged === undefined ? {} : { judged }) };
      (kind === "slot" ? this.#marks : this.#watermarks).set(slot, known);
    } catch (cause) {
      if (!(cause instanceof MarkError)) throw cause;
      throw new Halt("DST-005", `the mark ${where} can't be read`, { cause });
    }
  }

  textOf(slot: number): string | null {
    return this.#marks.get(slot)?.text ?? null;
  }

  judgedOf(slot: number): Judged | null {
    return this.#marks.get(slot)?.judged ?? null;
  }

  positionOf(slot: number): Position | null {
    return this.#marks.get(slot)?.position ?? null;
  }

  watermarkTextOf(slot: number): string | null {
    return this.#watermarks.get(slot)?.text ?? null;
  }

  /** Slots whose tags watermarks were found with. */
  get watermarkSlots(): readonly number[] {
    return [...this.#watermarks.keys()];
  }

  /** Offset up to which a slot is applied in the lane's history; see `follow`. */
  appliedIn(slot: number): number {
    return this.#applied[slot] as number;
  }

  moved(slot: number, text: string, position: Position): void {
    this.#marks.set(slot, { text, position });
    this.#applied[slot] = position.offset;
  }

  watermarkMoved(slot: number, text: string, position: Position): void {
    this.#watermarks.set(slot, { text, position });
  }

  /** From here on `appliedIn` speaks of `history`. */
  follow(history: MarkedHistory): void {
    for (const slot of this.#slots) {
      const position = this.positionOf(slot);
      const order = position === null ? -1 : compareHistories(position, history);
      if (position === null || order < 0) this.#applied[slot] = UNKNOWN;
      else this.#applied[slot] = order > 0 ? Infinity : position.offset;
    }
  }

  /** Where the slot is that is furthest of those that are live in `history`; null without one. */
  furthest(history: MarkedHistory): Position | null {
    let furthest: Position | null = null;
    for (const { position } of this.#marks.values()) {
      const isOne = compareHistories(position, history) === 0 && position.phase === "live";
      if (isOne && (furthest === null || position.offset > furthest.offset)) furthest = position;
    }
    return furthest;
  }

  /** Slots of the lane that have no mark. With others that have one: the destination lost what it held of them. */
  get missing(): number {
    let count = 0;
    for (const slot of this.#slots) if (!this.#marks.has(slot)) count++;
    return count;
  }

  /**
   * Where the lane stands: null when no slot has a mark of its shard; live when every slot is that no later history of another
   * shard took over; else in the latest copy of its own shard. So is a lane that has lost the marks of some slots,
   * or all watermarks: the copy puts down what is missing and leaves the slots alone that are live.
   *
   * `nodeOf`: who serves a slot. A node without a watermark by any of its slots may have lost the one that it had, together with
   * the last writes to slots that are quiet now: so of its slots only their own marks are believed. Their sequences are not
   * those of the messages, so that the log is read from its begin then (sequence 0).
   */
  position(shard: string, nodeOf: (slot: number) => string): Position | null {
    let newest: Position | null = null;
    for (const slot of this.#slots) {
      const position = this.positionOf(slot);
      if (position?.shard === shard && (newest === null || compareHistories(position, newest) > 0)) newest = position;
    }
    if (newest === null) return null;
    const { epoch, copy } = newest;
    const history = newest;
    const lowest = this.#lowestWatermark(history);
    const snap = { epoch, copy, phase: "snap", shard, offset: 0, sequence: 0 } as const;
    const isLive = (slot: number): boolean => {
      const position = this.positionOf(slot);
      if (position === null) return false;
      const order = compareHistories(position, history);
      return order > 0 || (order === 0 && position.phase === "live");
    };
    if (lowest === null || ![...this.#slots].every(isLive)) return snap;
    const offset = this.#lowestUnwatched(history, nodeOf);
    return offset < lowest.offset ? { ...snap, phase: "live", offset } : lowest;
  }

  /** Lowest offset of a slot whose node has no watermark of the history; infinite where every node has one. */
  #lowestUnwatched(history: Position, nodeOf: (slot: number) => string): number {
    const watched = new Set<string>();
    for (const [slot, { position }] of this.#watermarks) if (isLiveIn(position, history)) watched.add(nodeOf(slot));
    let lowest = Infinity;
    for (const slot of this.#slots) {
      const position = this.positionOf(slot);
      if (position === null || compareHistories(position, history) !== 0 || watched.has(nodeOf(slot))) continue;
      lowest = Math.min(lowest, position.offset);
    }
    return lowest;
  }

  /**
   * Whether a watermark of `target`'s history stands above it. Then parts of the lane were lost behind its back, and it must go
   * down before they are live again: nothing else would tell that they are not as far as the watermark says.
   */
  hasWatermarkAbove(target: Position): boolean {
    return [...this.#watermarks.values()].some(({ position }) => isLiveIn(position, target) && position.offset > target.offset);
  }

  #lowestWatermark(history: Position): Position | null {
    let lowest: Position | null = null;
    for (const { position } of this.#watermarks.values()) {
      if (!isLiveIn(position, history)) continue;
      if (lowest === null || position.offset < lowest.offset) lowest = position;
    }
    return lowest;
  }
}

function isLiveIn(position: Position, history: Pick<Position, "epoch" | "copy" | "shard">): boolean {
  return compareHistories(position, history) === 0 && position.shard === history.shard && position.phase === "live";
}
