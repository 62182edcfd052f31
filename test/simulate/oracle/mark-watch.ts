import { slotTag } from "@sluice/redis";
import { comparePositions, laneMarkKey, OWN_KEY_PREFIX, parseMark, slotMarkKey, type Position } from "@sluice/wire";
import { slotOfKey } from "../redis/key-slot.ts";
import type { SimServer, TouchedKey } from "../redis/sim-server.ts";
import { heldAround } from "./value-text.ts";
import { keyOf, nameOf, type VersionBook } from "./version-book.ts";

/** What a watch needs to know of the world around its destination. */
export interface MarkWatchOptions {
  readonly pipeline: string;
  readonly group: string;
  /** The destination is a cluster: a slot has its own mark, and what lanes have are watermarks, which come without data. */
  readonly inCluster: boolean;
  /** The histories that the source has had, newest last. */
  readonly books: () => readonly VersionBook[];
  /** The expiry that a destination is given for one of the source. */
  readonly shift: (expireAtMs: number) => number;
  /** True for the slots that a lane's mark speaks for. */
  readonly isOfLane: (shard: string, lane: number, slot: number) => boolean;
  /** True where the shard's slots have changed since that epoch began: it is copied anew, and until then nobody says what is there. */
  readonly isVoid: (shard: string, epoch: number) => boolean;
  /** Only epochs above it are continued. */
  readonly floorOf: (shard: string) => number;
}

/** Something happened that must never happen. */
export class Violation extends Error {
  override readonly name = "Violation";
}

interface Place {
  /** Of the mark itself. */
  readonly slot: number;
  readonly covers: (slot: number) => boolean;
  readonly isWatermark: boolean;
}

interface Moved extends Place {
  readonly before: Position | null;
  readonly after: Position;
}

/**
 * Looks at a destination after each unit that it has run, the ground truth of exactly once: marks only go forward, data changes
 * only together with a mark, and behind a mark that says `live, offset` every key that was written, here or in the source up to
 * there, is what the source held at that very offset.
 */
export class MarkWatch {
  readonly #options: MarkWatchOptions;
  readonly #marks = new Map<string, Position>();
  /** Slot → the epoch counter when it became doubtful. */
  readonly #doubtful = new Map<number, number>();
  /** Units that were compared with the source's history. */
  commits = 0;

  constructor(options: MarkWatchOptions) {
    this.#options = options;
  }

  /** The destination lost some of what it had: its marks are what they are now. */
  forget(servers: readonly SimServer[]): void {
    this.#marks.clear();
    for (const server of servers) {
      for (const key of server.entries(0).keys()) if (isOwn(key)) this.#read(server, key);
    }
  }

  /**
   * The destination lost parts of these slots, marks and data apart, so that nobody can say what is there. It need not be right again
   * before a copy whose epoch is above the present counter.
   */
  doubt(slots: Iterable<number>, counter: number): void {
    for (const slot of slots) this.#doubtful.set(slot, counter);
  }

  /** Throws `Violation`. */
  see(server: SimServer, touched: readonly TouchedKey[]): void {
    const all = touched.flatMap(({ key }) => (isOwn(key) ? this.#read(server, key) : []));
    const marks = all.filter(({ slot, after }) => !this.#isDoubtful(slot, after));
    for (const { slot, isWatermark } of marks) if (!isWatermark) this.#doubtful.delete(slot);
    const data = touched.filter(({ key }) => !isOwn(key) && (marks.length > 0 || !this.#doubtful.has(slotOf(key))));
    for (const { before, after, isWatermark } of marks) {
      // A watermark may: it says from where to look at the slots' own marks, and a node that lost its slots begins anew.
      if (!isWatermark && before !== null && before.shard === after.shard && comparePositions(after, before) < 0)
        throw new Violation(`a mark goes back from ${shown(before)} to ${shown(after)}`);
    }
    const moved = marks.find(({ isWatermark }) => !isWatermark);
    if (moved === undefined) {
      const names = data.filter((touched) => !this.#hasRunOut(server, touched)).map(nameOf);
      if (names.length > 0) throw new Violation(`${names.join(", ")} changed without a mark`);
    } else if (moved.after.phase === "live" && !this.#options.isVoid(moved.after.shard, moved.after.epoch)) {
      this.commits++;
      this.#compare(server, moved, data);
    }
  }

  #isDoubtful(slot: number, { shard, epoch }: Position): boolean {
    const counter = this.#doubtful.get(slot);
    if (counter === undefined) return false;
    const floor = this.#options.floorOf(shard);
    return floor < counter || epoch <= floor;
  }

  /** A key of a copy that is not complete is gone: a copy that is damaged may bring times that are over, and is void. */
  #hasRunOut(server: SimServer, { db, key }: TouchedKey): boolean {
    if (heldAround(server, db, key).value !== null) return false;
    return [...this.#marks].some(([markKey, { phase }]) => {
      const place = phase === "snap" ? this.#placeOf(markKey) : null;
      return place !== null && !place.isWatermark && place.covers(slotOf(key));
    });
  }

  /** What the mark at `key` says now and said before; nothing where the key is no mark of the pipeline, or is gone. */
  #read(server: SimServer, key: string): Moved[] {
    const place = this.#placeOf(key);
    const value = server.entries(0).get(key)?.value;
    if (place === null || value?.type !== "string") {
      this.#marks.delete(key);
      return [];
    }
    const before = this.#marks.get(key) ?? null;
    const after = parseMark(value.text);
    this.#marks.set(key, after);
    return [{ ...place, before, after }];
  }

  #placeOf(key: string): Place | null {
    const { pipeline, group, isOfLane, inCluster } = this.#options;
    const slot = slotOf(key);
    const tag = slotTag(slot);
    if (key === slotMarkKey(tag, pipeline, group)) return { slot, covers: (other) => other === slot, isWatermark: false };
    const [, shard, number] = /:(s\d+)\.(\d+)$/.exec(key) ?? [];
    const lane = Number(number);
    if (shard === undefined || key !== laneMarkKey(tag, pipeline, group, shard, lane)) return null;
    return { slot, covers: (other) => isOfLane(shard, lane, other), isWatermark: inCluster };
  }

  /** One of the source's histories must hold everywhere what the destination holds. */
  #compare(server: SimServer, moved: Moved, data: readonly TouchedKey[]): void {
    const { before, after } = moved;
    let fault: string | null = null;
    for (const book of this.#options.books().toReversed()) {
      fault = this.#faultBy(book, server, moved, data);
      if (fault === null) return;
    }
    if (fault !== null)
      throw new Violation(`at ${shown(after)}, from ${before === null ? "nothing" : shown(before)}: ${fault}`);
  }

  #faultBy(book: VersionBook, server: SimServer, { before, after, covers }: Moved, data: readonly TouchedKey[]): string | null {
    const isFlip = before?.phase !== "live" || before.epoch !== after.epoch;
    const names = new Set(isFlip ? book.names : book.writtenBetween(before.offset, after.offset));
    for (const key of isFlip ? dataOf(server) : data) names.add(nameOf(key));
    for (const name of names) {
      const { db, key } = keyOf(name);
      if (!covers(slotOf(key))) continue;
      const expected = book.at(name, after.offset);
      const found = heldAround(server, db, key);
      if (found.value !== expected.value)
        return `db ${db} ${key} holds ${brief(found.value)}, the source held ${brief(expected.value)}`;
      const expireAtMs = expected.expireAtMs < 0 ? -1 : this.#options.shift(expected.expireAtMs);
      if (found.value !== null && found.expireAtMs !== expireAtMs)
        return `db ${db} ${key} expires at ${found.expireAtMs}, expected ${expireAtMs}`;
    }
    return null;
  }
}

/** Every key of a server but Sluice's own. */
export function dataOf(server: SimServer): TouchedKey[] {
  return server.keyspace.databases.flatMap((database) =>
    [...database.entries.keys()].filter((key) => !isOwn(key)).map((key) => ({ db: database.id, key })),
  );
}

export function slotOf(key: string): number {
  return slotOfKey(key);
}

function isOwn(key: string): boolean {
  return key.startsWith(OWN_KEY_PREFIX);
}

function shown({ epoch, copy, phase, shard, offset, sequence }: Position): string {
  return `${shard} ${epoch}.${copy} ${phase} ${offset} @${sequence}`;
}

function brief(value: string | null): string {
  if (value === null) return "nothing";
  return value.length > 160 ? `${value.slice(0, 160)}… (${value.length} characters)` : value;
}
