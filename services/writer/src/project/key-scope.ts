import { KeyFilter } from "@sluice/redis";
import { isTemporaryKey, type DestinationSpec } from "@sluice/wire";
import type { KeptKeys } from "../keep/kept-keys.ts";

/**
 * The keys that a writer group gets: those that a pattern of `include` matches, if there is any, and none of `exclude`; and none that
 * the destination keeps. Which are kept may become known while it is in use, before the first key is asked for.
 */
export class KeyScope {
  readonly #filter: KeyFilter;
  readonly #kept: KeptKeys | null;
  #keptAsked = 0;

  constructor(patterns: DestinationSpec["keys"], kept: KeptKeys | null = null) {
    this.#filter = new KeyFilter(patterns);
    this.#kept = kept;
  }

  /** Every key is in it. */
  get isWhole(): boolean {
    return this.#filter.isWhole && (this.#kept === null || this.#kept.size === 0);
  }

  /** Grows by one whenever the answer is no because a key is kept. */
  get keptAsked(): number {
    return this.#keptAsked;
  }

  /** Whether the key in `[start, end)`, in the database `db` of the destination, is one of them. */
  has(db: number, bytes: Buffer, start = 0, end = bytes.length): boolean {
    // What is built under another pipeline's temporary key may become any key: what becomes of it, the RENAME tells.
    const isWanted = this.#filter.has(bytes, start, end) || isTemporaryKey(bytes, start, end);
    if (!isWanted || this.#kept?.has(db, bytes, start, end) !== true) return isWanted;
    this.#keptAsked++;
    return false;
  }

  /** Whether keys of this database of the destination are kept; null: of any. */
  keepsIn(db: number | null): boolean {
    return this.#kept?.isIn(db) === true;
  }
}
