import { hasElements, isStream, PendingIdReader, RdbError, type PendingIds } from "@sluice/redis";
import type { SnapshotRows } from "@sluice/wire";
import type { PartedValue, SnapshotValue, ValueBuild } from "../lane-destination.ts";
import { isLoose, notTakenApart } from "./value-commands.ts";

export interface PartedEntryOptions {
  /** Whether the entry is to be written at all, asked once. */
  readonly isWanted: (value: SnapshotValue) => boolean;
  /** See `LaneDestination.build`. */
  readonly build: (value: PartedValue) => Promise<ValueBuild | null>;
  /** The bodies of this entry's parts once more, in order. */
  readonly again: () => AsyncIterable<Buffer>;
}

/**
 * One entry of a copy that is larger than a message, as its parts come: written part by part where it has elements, and collected where it is one
 * thing to the destination (a library, a script, the value of a module).
 *
 * A stream is read twice: what is pending in it stands behind its entries, and has to be known before them. So its parts, which the bus still
 * holds, are read once more when the last one has come.
 */
export class PartedEntry {
  readonly #options: PartedEntryOptions;
  readonly #rows: SnapshotRows;
  /** Until the key is complete: all bytes so far. Then those of the value that is collected. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #key: Buffer | null = null;
  #way: "collect" | "build" | "readTwice" | "pass" = "collect";
  #build: ValueBuild | null = null;
  #ids: PendingIdReader | null = null;

  constructor(rows: SnapshotRows, options: PartedEntryOptions) {
    this.#rows = rows;
    this.#options = options;
  }

  /** The body of the next part. Throws as `ValueBuild.push`, `Halt` SRC-004. */
  async add(body: Buffer): Promise<void> {
    if (this.#key !== null) return this.#take(body);
    this.#held.push(body);
    this.#heldBytes += body.length;
    if (this.#heldBytes < (this.#rows.keyLengths[0] as number)) return;
    const { key, value } = cutKey(this.#held, this.#rows.keyLengths[0] as number);
    this.#held = [];
    this.#key = key;
    await this.#begin(key);
    for (const piece of value) await this.#take(piece);
  }

  /** All parts have come. What is to be written now, if anything: a value like others, or a build to finish. */
  async end(): Promise<SnapshotValue | ValueBuild | null> {
    const key = this.#key;
    if (key === null || this.#way === "pass") return null;
    if (this.#way === "collect") return { rows: this.#rows, row: 0, key, value: this.#held };
    if (this.#way === "readTwice") await this.#readAgain(key);
    return this.#build;
  }

  async #begin(key: Buffer): Promise<void> {
    const type = this.#rows.types[0] as number;
    if (!this.#options.isWanted({ rows: this.#rows, row: 0, key, value: [] })) this.#way = "pass";
    else if (isLoose(this.#rows, 0) || !hasElements(type)) this.#way = "collect";
    else if (isStream(type)) {
      this.#way = "readTwice";
      this.#ids = new PendingIdReader(type);
    } else await this.#open(key, null);
  }

  async #open(key: Buffer, pending: PendingIds | null): Promise<void> {
    this.#build = await this.#options.build({ rows: this.#rows, row: 0, key, pending });
    this.#way = this.#build === null ? "pass" : "build";
  }

  async #take(piece: Buffer): Promise<void> {
    if (this.#way === "collect") this.#held.push(piece);
    else if (this.#way === "build") await this.#build?.push(piece);
    else if (this.#way === "readTwice") this.#readIds((ids) => ids.push(piece));
  }

  async #readAgain(key: Buffer): Promise<void> {
    let pending: PendingIds | null = null;
    this.#readIds((ids) => {
      pending = ids.finish();
    });
    await this.#open(key, pending);
    let keyBytes = this.#rows.keyLengths[0] as number;
    for await (const body of this.#options.again()) {
      const share = Math.min(keyBytes, body.length);
      keyBytes -= share;
      if (share < body.length) await this.#build?.push(body.subarray(share));
    }
  }

  #readIds(read: (ids: PendingIdReader) => void): void {
    try {
      if (this.#ids !== null) read(this.#ids);
    } catch (cause) {
      if (!(cause instanceof RdbError)) throw cause;
      throw notTakenApart(this.#rows.types[0] as number, cause);
    }
  }
}

/** The key at the begin of a value in parts, and what follows it, in pieces. */
function cutKey(bytes: readonly Buffer[], keyLength: number): { key: Buffer; value: Buffer[] } {
  const key: Buffer[] = [];
  const value: Buffer[] = [];
  let missing = keyLength;
  for (const piece of bytes) {
    const share = Math.min(missing, piece.length);
    if (share > 0) key.push(piece.subarray(0, share));
    if (share < piece.length) value.push(piece.subarray(share));
    missing -= share;
  }
  return { key: key.length === 1 ? (key[0] as Buffer) : Buffer.concat(key), value };
}
