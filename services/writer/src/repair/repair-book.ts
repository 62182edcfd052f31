import type { Reply } from "@sluice/redis";
import type { Batch } from "@sluice/wire";
import type { Place } from "./commands-of.ts";

/** What a lane goes on in, and from which offset: a batch of changes, or a fence. */
export type LaneHistory = Pick<Batch, "replid" | "previous">;

interface Entry {
  readonly offset: number;
  readonly replid: string;
}

/**
 * Keys that stand in the destination as they were at the source at a later offset than the mark's (H16): for each the offset up
 * to which the source's commands are in it already. Kept in a hash beside the mark, changed only together with it.
 */
export class RepairBook {
  readonly #entries = new Map<Place, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** Takes in the hash as HGETALL answers it; entries of other epochs than `epoch` mean nothing and are left out. */
  take(reply: Reply, epoch: number): void {
    const fields = Array.isArray(reply) ? reply : [];
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const [place, value] = [fields[at], fields[at + 1]];
      if (!Buffer.isBuffer(place) || !Buffer.isBuffer(value)) continue;
      const found = /^(\d{1,15})\|(\d{1,16})(?:\|(\w{1,64}))?$/.exec(value.toString("latin1"));
      if (found === null || Number(found[1]) !== epoch) continue;
      this.#entries.set(place.toString("latin1"), { offset: Number(found[2]), replid: found[3] ?? "" });
    }
  }

  /** True when the effect of a command on `place` that ends at `end` is in the key. */
  covers(place: Place, end: number): boolean {
    return (this.#entries.get(place)?.offset ?? -1) >= end;
  }

  /** `replid`: whose offset it is; empty where nobody knows. */
  set(places: Iterable<Place>, offset: number, replid = ""): void {
    for (const place of places) {
      const known = this.#entries.get(place);
      // What was read later, in the same history, stands there.
      if (known === undefined || known.replid !== replid || known.offset < offset) this.#entries.set(place, { offset, replid });
    }
  }

  /**
   * Entries that may hold what is not in the history `replid` from `previous` on: a source that failed over lost what it had not
   * passed on, and these keys may have been read from that.
   */
  ofOthers({ replid, previous }: LaneHistory): Place[] {
    return [...this.#entries].flatMap(([place, entry]) => (entry.replid !== replid && entry.offset > previous ? [place] : []));
  }

  /** Entries that say something about commands that end at `end`. */
  covering(end: number): Place[] {
    return [...this.#entries].flatMap(([place, { offset }]) => (offset >= end ? [place] : []));
  }

  /** Entries of which nothing is to be passed over any more once everything up to `offset` is applied. */
  passed(offset: number): Place[] {
    return [...this.#entries].flatMap(([place, entry]) => (entry.offset <= offset ? [place] : []));
  }

  remove(places: Iterable<Place>): void {
    for (const place of places) this.#entries.delete(place);
  }

  /** Removes the entries whose place is one of those. */
  removeWhere(isOne: (place: Place) => boolean): void {
    for (const place of this.#entries.keys()) if (isOne(place)) this.#entries.delete(place);
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** Its field in the hash. */
export function repairedField(place: Place): Buffer {
  return Buffer.from(place, "latin1");
}

/** What the hash holds for a key that was repaired. */
export function repairedValue(epoch: number, offset: number, replid: string): string {
  return `${epoch}|${offset}|${replid}`;
}
