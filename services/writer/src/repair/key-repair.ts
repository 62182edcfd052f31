import { createHash } from "node:crypto";
import { keySlot, type Endpoint } from "@sluice/redis";
import { Halt, type Logger } from "@sluice/runtime";
import type { Pipeline } from "@sluice/wire";
import { quotable } from "../apply/verdict.ts";
import { keyOfPlace, placeOf, type Place } from "./commands-of.ts";
import { readSourceKeys, type ShardHistory, type SourceImages } from "./source-keys.ts";

export type DivergencePolicy = Pipeline["onDivergence"];

/** More at once would hold up the source for longer than a replica does, and take our memory. */
const KEYS_AT_ONCE = 128;

export interface KeyRepairOptions {
  readonly policy: DivergencePolicy;
  readonly shard: string;
  /** A server of the lane's shard, with credentials. */
  readonly source: () => Promise<Endpoint>;
  /** What ingest says of the shard's history; null where it has said nothing yet. */
  readonly history: () => Promise<ShardHistory | null>;
  readonly isLifted: boolean;
  /** The source is a cluster, which takes a transaction only on keys of one slot. */
  readonly isBySlot: boolean;
  /** The source's number of a database of the destination, null where it has no single one; every number is the source's where absent. */
  readonly databaseAt?: (db: number) => number | null;
  /** Told when keys are known to differ, and when they have been repaired: in between an attempt may fail, and the lane begin anew. */
  readonly differing: (isSo: boolean) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told of every key that was taken from the source again, and of every error that was passed over. */
  readonly count: (repairedKeys: number, skippedErrors: number) => void;
}

/**
 * What a lane does about a command that failed behind its mark: what the operator's policy says, and how keys come from the
 * source where it says so.
 */
export class KeyRepair {
  readonly policy: DivergencePolicy;
  /**
   * Something failed behind the mark for sure: the operator started the pipeline again behind a halt of this lane, or a repair has
   * failed before. It is not to halt the lane once more, and needs no proof to be repaired.
   */
  readonly isLifted: boolean;
  readonly #options: KeyRepairOptions;

  constructor(options: KeyRepairOptions) {
    this.policy = options.policy;
    this.isLifted = options.isLifted;
    this.#options = options;
  }

  /**
   * A user of `destination` may not read what was repaired there. Throws `Halt` DST-002 where keys are repaired: units that a
   * repaired key holds already would run on it again.
   */
  refusesUnread(destination: string): void {
    if (this.policy !== "repair") return;
    throw new Halt(
      "DST-002",
      `${destination} does not let HGETALL read what was repaired there, which onDivergence: repair needs`,
    );
  }

  /**
   * The keys as they are at the source, some at a time, those of a time at one offset at or beyond `atLeast`; from a cluster those
   * of one slot. Ends early when the shard is in a later epoch already: a copy is on its way, which replaces them all. Throws
   * `Retryable`, `Halt`; see `readSourceKeys`.
   */
  async *read(places: ReadonlySet<Place>, epoch: number, atLeast: number): AsyncGenerator<SourceImages> {
    const { source, shard, history, signal, log } = this.#options;
    for (const some of slicesOf(places, this.#options.isBySlot)) {
      const known = await history();
      if (known !== null && known.epoch > epoch) {
        log.warn({ epoch: known.epoch }, "keys that differ are left to the copy of a new epoch");
        return;
      }
      const own = known ?? { epoch, replid: "", storedOffset: 0 };
      const asked = some.map((place) => this.#placeAt(place));
      const read = await readSourceKeys(await source(), shard, asked, atLeast, own, signal);
      yield { ...read, images: read.images.map((image, index) => ({ ...image, place: some[index] as Place })) };
    }
  }

  /** Where the source has what the destination has there. */
  #placeAt(place: Place): Place {
    const { databaseAt } = this.#options;
    if (databaseAt === undefined) return place;
    const { db, key } = keyOfPlace(place);
    const from = databaseAt(db);
    if (from === null) throw this.unknownKeys(`a key differs in database ${db}, which no single database of the source is`);
    return placeOf(from, key);
  }

  /** See `KeyRepairOptions.differing`. */
  differing(isSo: boolean): void {
    this.#options.differing(isSo);
  }

  /** To be called once they stand in the destination. Keys are told by hash and size only. */
  repaired({ offset, images }: SourceImages): void {
    for (const { place, value } of images) {
      const { db, key } = keyOfPlace(place);
      const keyHash = createHash("sha256").update(key).digest("hex").slice(0, 16);
      const found = { keyHash, keyBytes: key.length, db, valueBytes: value?.value.length ?? 0, offset };
      this.#options.log.warn(found, value === null ? "key repaired: the source has none" : "key repaired from the source");
    }
    this.#options.count(images.length, 0);
  }

  skipped(errors: number, first: string): void {
    this.#options.log.warn({ errors, first: quotable(first) }, "errors passed over: the destination differs from the source");
    this.#options.count(0, errors);
  }

  /** Something ran whose replies nobody read, and nothing tells any more whether it ran well. */
  unjudged(commands: number | null, why: string): void {
    this.#options.log.warn({ commands }, `could not be judged: ${why}`);
  }

  /** What failed does not say which keys it concerns. */
  unknownKeys(what: string): Halt {
    return new Halt("DST-014", `${what}, and its keys are not known, so that they can't be taken from the source`);
  }
}

function slicesOf(places: ReadonlySet<Place>, isBySlot: boolean): Place[][] {
  const groups = new Map<number, Place[]>();
  for (const place of places) {
    const slot = isBySlot ? keySlot(keyOfPlace(place).key) : 0;
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [place]);
    else group.push(place);
  }
  const slices: Place[][] = [];
  for (const group of groups.values())
    for (let at = 0; at < group.length; at += KEYS_AT_ONCE) slices.push(group.slice(at, at + KEYS_AT_ONCE));
  return slices;
}
