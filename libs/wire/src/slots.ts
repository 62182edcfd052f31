/** Hash slots of a cluster; a standalone server is treated as if it owned them all. */
export const SLOT_COUNT = 16_384;

/**
 * A set of hash slots. As text, which is how records hold it: ranges in ascending order, `0-5460,5500,6000-6001`; no slot is the
 * empty text.
 */
export class SlotSet {
  readonly #bits = new Uint8Array(SLOT_COUNT);
  #size = 0;

  static all(): SlotSet {
    return SlotSet.parse(`0-${SLOT_COUNT - 1}`);
  }

  static of(slots: Iterable<number>): SlotSet {
    const set = new SlotSet();
    for (const slot of slots) set.add(slot);
    return set;
  }

  /** Throws `RangeError` that quotes what was read. */
  static parse(text: string): SlotSet {
    const set = new SlotSet();
    for (const range of text === "" ? [] : text.split(",")) {
      const fields = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
      const from = Number(fields?.[1]);
      const to = Number(fields?.[2] ?? fields?.[1]);
      if (fields === null || from > to || to >= SLOT_COUNT)
        throw new RangeError(`not a range of slots: ${JSON.stringify(range.slice(0, 40))}`);
      for (let slot = from; slot <= to; slot++) set.add(slot);
    }
    return set;
  }

  get size(): number {
    return this.#size;
  }

  has(slot: number): boolean {
    return this.#bits[slot] === 1;
  }

  add(slot: number): void {
    if (this.#bits[slot] !== 0) return;
    this.#bits[slot] = 1;
    this.#size++;
  }

  *[Symbol.iterator](): Generator<number> {
    for (let slot = 0; slot < SLOT_COUNT; slot++) if (this.#bits[slot] === 1) yield slot;
  }

  /** How many slots both sets hold. */
  overlap(other: SlotSet): number {
    let count = 0;
    for (const slot of this) if (other.has(slot)) count++;
    return count;
  }

  equals(other: SlotSet): boolean {
    return this.#size === other.#size && this.overlap(other) === this.#size;
  }

  toString(): string {
    const ranges: string[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (this.#bits[slot] === 0) continue;
      const from = slot;
      while (slot + 1 < SLOT_COUNT && this.#bits[slot + 1] === 1) slot++;
      ranges.push(from === slot ? `${from}` : `${from}-${slot}`);
    }
    return ranges.join(",");
  }
}

/** The lane of a slot where `lanes` cut the slots evenly; part of the epoch, since batches are stored by it (H29). */
export function laneOf(slot: number, lanes: number): number {
  return lanes === 1 ? 0 : Math.floor((slot * lanes) / SLOT_COUNT);
}

/** The lanes that a shard has: one for each range of the cut that it owns slots in, in ascending order. */
export function lanesOf(slots: SlotSet, lanes: number): number[] {
  const found = new Set<number>();
  for (const slot of slots) found.add(laneOf(slot, lanes));
  return [...found].toSorted((a, b) => a - b);
}

/** The slots of one lane of a shard. */
export function slotsOfLane(slots: SlotSet, lanes: number, lane: number): SlotSet {
  return SlotSet.of([...slots].filter((slot) => laneOf(slot, lanes) === lane));
}
