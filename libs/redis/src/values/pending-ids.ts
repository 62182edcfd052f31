import { RdbError } from "../rdb/rdb-error.ts";
import { compareIds, type StreamId } from "./stream-id.ts";

const FIRST_CAPACITY = 64;

/** Ids in ascending order, 16 bytes each. */
export class PendingIds {
  #ms = new BigUint64Array(0);
  #seq = new BigUint64Array(0);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** From 0 to `size` - 1. */
  at(index: number): StreamId {
    return { ms: this.#ms[index] as bigint, seq: this.#seq[index] as bigint };
  }

  /** Appends an id; false, and not appended, where it is not above the last. */
  add(id: StreamId): boolean {
    if (this.#size > 0 && compareIds(this.at(this.#size - 1), id) >= 0) return false;
    if (this.#size === this.#ms.length) {
      const capacity = Math.max(FIRST_CAPACITY, 2 * this.#size);
      this.#ms = grown(this.#ms, new BigUint64Array(capacity));
      this.#seq = grown(this.#seq, new BigUint64Array(capacity));
    }
    this.#ms[this.#size] = id.ms;
    this.#seq[this.#size] = id.seq;
    this.#size++;
    return true;
  }

  /** Index of an id, or -1. */
  find(id: StreamId): number {
    let low = 0;
    let high = this.#size - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = compareIds(this.at(middle), id);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

/** The pending entries of a group: when each was delivered last, and how often. 41 bytes each. */
export class PendingEntries {
  readonly ids = new PendingIds();
  #deliveredAtMs = new Float64Array(0);
  #deliveries = new Float64Array(0);
  #owned = new Uint8Array(0);
  #unowned = 0;

  /** Entries that `own` has not been called for. */
  get unowned(): number {
    return this.#unowned;
  }

  /** False, and not added, where the id is not above the last. */
  add(id: StreamId, deliveredAtMs: number, deliveries: number): boolean {
    const index = this.ids.size;
    if (!this.ids.add(id)) return false;
    if (index === this.#owned.length) {
      const capacity = Math.max(FIRST_CAPACITY, 2 * index);
      this.#deliveredAtMs = grown(this.#deliveredAtMs, new Float64Array(capacity));
      this.#deliveries = grown(this.#deliveries, new Float64Array(capacity));
      this.#owned = grown(this.#owned, new Uint8Array(capacity));
    }
    this.#deliveredAtMs[index] = deliveredAtMs;
    this.#deliveries[index] = deliveries;
    this.#unowned++;
    return true;
  }

  /** Gives an entry to a consumer. @throws RdbError: it is not pending, or has one. */
  own(id: StreamId, offset: number): { deliveredAtMs: number; deliveries: number } {
    const index = this.ids.find(id);
    if (index < 0) throw new RdbError("a consumer owns an entry that is not pending in its group", offset);
    if (this.#owned[index] === 1) throw new RdbError("two consumers own the same pending entry", offset);
    this.#owned[index] = 1;
    this.#unowned--;
    return { deliveredAtMs: this.#deliveredAtMs[index] as number, deliveries: this.#deliveries[index] as number };
  }
}

/**
 * The ids of several groups in one order, each once. Runs of like size are merged as they come, so that many small groups cost no
 * more than a few large ones.
 */
export function mergedIds(groups: Iterable<PendingIds>): PendingIds {
  const runs: PendingIds[] = [];
  const mergeLast = (): void => {
    const [one, two] = runs.splice(-2) as [PendingIds, PendingIds];
    runs.push(merge(one, two));
  };
  for (const ids of groups) {
    runs.push(ids);
    while (runs.length > 1 && (runs.at(-2) as PendingIds).size <= 2 * (runs.at(-1) as PendingIds).size) mergeLast();
  }
  while (runs.length > 1) mergeLast();
  return runs[0] ?? new PendingIds();
}

function merge(one: PendingIds, two: PendingIds): PendingIds {
  const merged = new PendingIds();
  let left = 0;
  let right = 0;
  while (left < one.size || right < two.size) {
    const takesLeft = right === two.size || (left < one.size && compareIds(one.at(left), two.at(right)) <= 0);
    merged.add(takesLeft ? one.at(left++) : two.at(right++));
  }
  return merged;
}

function grown<Column extends { set(values: Column): void }>(column: Column, larger: Column): Column {
  larger.set(column);
  return larger;
}
