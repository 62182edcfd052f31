import { slotTag } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { laneMarkKey, MarkError, parseMark, SLOT_COUNT, slotMarkKey, type Position, type SlotSet } from "@sluice/wire";

/** A mark as it stands in a destination, with what it says. */
export interface KnownMark {
  readonly text: string;
  readonly position: Position;
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

  /** Takes a mark as read. Throws `Halt` DST-005 when it is none. */
  take(kind: "slot" | "watermark", slot: number, text: string | null, destination: string): void {
    if (text === null || text === "") return;
    try {
      const known = { text, position: parseMark(text) };
      (kind === "slot" ? this.#marks : this.#watermarks).set(slot, known);
    } catch (cause) {
      if (!(cause instanceof MarkError)) throw cause;
      throw new Halt("DST-005", `the mark of slot ${slot} in ${destination} can't be read`, { cause });
    }
  }

  textOf(slot: number): string | null {
    return this.#marks.get(slot)?.text ?? null;
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

  /** From here on `appliedIn` speaks of the history of `epoch`. */
  follow(epoch: number): void {
    for (const slot of this.#slots) {
      const position = this.positionOf(slot);
      if (position === null || position.epoch < epoch) this.#applied[slot] = UNKNOWN;
      else this.#applied[slot] = position.epoch > epoch ? Infinity : position.offset;
    }
  }

  /**
   * Where the lane stands: live when every slot that no later history of another shard took over is; else in the copy of the
   * highest epoch of its own shard; null when no slot has a mark of this shard. Throws `Halt` DST-005 when a live lane lacks
   * the mark of a slot, or its watermarks: the destination has lost data.
   */
  position(shard: string, destination: string): Position | null {
    let newest: Position | null = null;
    for (const slot of this.#slots) {
      const position = this.positionOf(slot);
      if (position?.shard === shard && (newest === null || position.epoch > newest.epoch)) newest = position;
    }
    if (newest === null) return null;
    const { epoch } = newest;
    let live = 0;
    let missing = -1;
    let isCopying = false;
    for (const slot of this.#slots) {
      const position = this.positionOf(slot);
      if (position === null) missing = slot;
      else if (position.epoch < epoch || (position.epoch === epoch && position.phase === "snap")) isCopying = true;
      else live++;
    }
    const lowest = this.#lowestWatermark(epoch, shard);
    if (isCopying || (lowest === null && missing < 0)) return { ...newest, phase: "snap", offset: 0, sequence: 0 };
    if (missing >= 0 && live === 0) return null;
    if (missing >= 0 || lowest === null) {
      throw new Halt(
        "DST-005",
        `${destination} holds ${live} marks of the lane, but none for slot ${missing}: it has lost data`,
      );
    }
    return lowest;
  }

  #lowestWatermark(epoch: number, shard: string): Position | null {
    let lowest: Position | null = null;
    for (const { position } of this.#watermarks.values()) {
      if (position.epoch !== epoch || position.shard !== shard || position.phase !== "live") continue;
      if (lowest === null || position.offset < lowest.offset) lowest = position;
    }
    return lowest;
  }
}
