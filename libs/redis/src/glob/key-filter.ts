import { Glob } from "./glob.ts";

/** Patterns of the keys that are wanted, if there are any, and of those that are not. */
export interface KeyPatterns {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** What patterns say of a key. */
export interface KeyVerdict {
  readonly isIn: boolean;
  /** Position of the first pattern of each list that matches it; -1: none does. */
  readonly included: number;
  readonly excluded: number;
}

/** The keys that a pattern of `include` matches, if there is any, and none of `exclude`. */
export class KeyFilter {
  readonly #include: readonly Glob[];
  readonly #exclude: readonly Glob[];

  constructor({ include, exclude }: KeyPatterns) {
    this.#include = include.map((pattern) => new Glob(pattern));
    this.#exclude = exclude.map((pattern) => new Glob(pattern));
  }

  /** Every key is in it. */
  get isWhole(): boolean {
    return this.#include.length + this.#exclude.length === 0;
  }

  /** Whether the key in `[start, end)` is one of them. */
  has(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const isIncluded = this.#include.length === 0 || firstOf(this.#include, bytes, start, end) >= 0;
    return isIncluded && firstOf(this.#exclude, bytes, start, end) < 0;
  }

  /** As `has`, and which patterns say so. */
  judge(key: Uint8Array): KeyVerdict {
    const included = firstOf(this.#include, key, 0, key.length);
    const excluded = firstOf(this.#exclude, key, 0, key.length);
    return { isIn: (included >= 0 || this.#include.length === 0) && excluded < 0, included, excluded };
  }

  /** Positions in each list of all patterns that match the key. */
  matching(key: Uint8Array): { readonly include: readonly number[]; readonly exclude: readonly number[] } {
    return { include: allOf(this.#include, key), exclude: allOf(this.#exclude, key) };
  }
}

/** -1: none matches. */
function firstOf(globs: readonly Glob[], bytes: Uint8Array, start: number, end: number): number {
  for (let at = 0; at < globs.length; at++) if ((globs[at] as Glob).matches(bytes, start, end)) return at;
  return -1;
}

function allOf(globs: readonly Glob[], key: Uint8Array): number[] {
  return globs.flatMap((glob, at) => (glob.matches(key) ? [at] : []));
}
