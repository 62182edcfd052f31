import type { Reply } from "@sluice/redis";
import type { Place } from "./commands-of.ts";

/**
 * Keys that stand in the destination as they were at the source at a later offset than the mark's (H16): for each the offset up
 * to which the source's commands are in it already. Kept in a hash beside the mark, changed only together with it.
 */
export class RepairBook {
  readonly #offsets = new Map<Place, number>();

  get size(): number {
    return this.#offsets.size;
  }

  /** Takes in the hash as HGETALL answers it; entries of other epochs than `epoch` mean nothing and are left out. */
  take(reply: Reply, epoch: number): void {
    const fields = Array.isArray(reply) ? reply : [];
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const [place, value] = [fields[at], fields[at + 1]];
      if (!Buffer.isBuffer(place) || !Buffer.isBuffer(value)) continue;
      const found = /^(\d{1,15})\|(\d{1,16})$/.exec(value.toString("latin1"));
      if (found !== null && Number(found[1]) === epoch) this.#offsets.set(place.toString("latin1"), Number(found[2]));
    }
  }

  /** True when the effect of a command on `place` that ends at `end` is in the key. */
  covers(place: Place, end: number): boolean {
    return (this.#offsets.get(place) ?? -1) >= end;
  }

  set(places: Iterable<Place>, offset: number): void {
    for (const place of places) this.#offsets.set(place, offset);
  }

  /** Entries that say something about commands that end at `end`. */
  covering(end: number): Place[] {
    return [...this.#offsets].flatMap(([place, offset]) => (offset >= end ? [place] : []));
  }

  /** Entries of which nothing is to be passed over any more once everything up to `offset` is applied. */
  passed(offset: number): Place[] {
    return [...this.#offsets].flatMap(([place, at]) => (at <= offset ? [place] : []));
  }

  remove(places: Iterable<Place>): void {
    for (const place of places) this.#offsets.delete(place);
  }

  clear(): void {
    this.#offsets.clear();
  }
}

/** Its field in the hash. */
export function repairedField(place: Place): Buffer {
  return Buffer.from(place, "latin1");
}

/** What the hash holds for a key that was repaired. */
export function repairedValue(epoch: number, offset: number): string {
  return `${epoch}|${offset}`;
}
