import { Glob } from "@sluice/redis";
import type { DestinationSpec } from "@sluice/wire";

/** The keys that a writer group gets: those that a pattern of `include` matches, if there is any, and none of `exclude`. */
export class KeyScope {
  readonly #include: readonly Glob[];
  readonly #exclude: readonly Glob[];

  constructor({ include, exclude }: DestinationSpec["keys"]) {
    this.#include = include.map((pattern) => new Glob(pattern));
    this.#exclude = exclude.map((pattern) => new Glob(pattern));
  }

  /** Whether the key in `[start, end)` is one of them. */
  has(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    return (
      (this.#include.length === 0 || isOneOf(this.#include, bytes, start, end)) && !isOneOf(this.#exclude, bytes, start, end)
    );
  }
}

function isOneOf(globs: readonly Glob[], bytes: Uint8Array, start: number, end: number): boolean {
  for (const glob of globs) if (glob.matches(bytes, start, end)) return true;
  return false;
}
