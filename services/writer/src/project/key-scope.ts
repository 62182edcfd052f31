import { Glob } from "@sluice/redis";
import type { DestinationSpec } from "@sluice/wire";
import type { KeptKeys } from "../keep/kept-keys.ts";

/**
 * The keys that a writer group gets: those that a pattern of `include` matches, if there is any, and none of `exclude`; and none that
 * the destination keeps. Which are kept may become known while it is in use, before the first key is asked for.
 */
export class KeyScope {
  readonly #include: readonly Glob[];
  readonly #exclude: readonly Glob[];
  readonly #kept: KeptKeys | null;
  #keptAsked = 0;

  constructor({ include, exclude }: DestinationSpec["keys"], kept: KeptKeys | null = null) {
    this.#include = include.map((pattern) => new Glob(pattern));
    this.#exclude = exclude.map((pattern) => new Glob(pattern));
    this.#kept = kept;
  }

  /** Every key is in it. */
  get isWhole(): boolean {
    return this.#include.length + this.#exclude.length === 0 && (this.#kept === null || this.#kept.size === 0);
  }

  /** Grows by one whenever the answer is no because a key is kept. */
  get keptAsked(): number {
    return this.#keptAsked;
  }

  /** Whether the key in `[start, end)`, in the database `db` of the destination, is one of them. */
  has(db: number, bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const isWanted =
      (this.#include.length === 0 || isOneOf(this.#include, bytes, start, end)) && !isOneOf(this.#exclude, bytes, start, end);
    if (!isWanted || this.#kept?.has(db, bytes, start, end) !== true) return isWanted;
    this.#keptAsked++;
    return false;
  }

  /** Whether keys of this database of the destination are kept; null: of any. */
  keepsIn(db: number | null): boolean {
    return this.#kept?.isIn(db) === true;
  }
}

function isOneOf(globs: readonly Glob[], bytes: Uint8Array, start: number, end: number): boolean {
  for (const glob of globs) if (glob.matches(bytes, start, end)) return true;
  return false;
}
