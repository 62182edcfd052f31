import { rdbTypeName } from "@sluice/redis";
import { printable, type Logger } from "@sluice/runtime";

/** Keys that are named in the log; more of them are counted only. */
const MOST_NAMED = 100;
const SHOWN_KEY_BYTES = 80;

/** Tells of the entries of one copy that `unknown: skip` passes over: each of the first by its key, and at the end how many there were. */
export class SkippedEntries {
  readonly #log: Logger;
  #count = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  add(key: Buffer, type: number): void {
    if (++this.#count > MOST_NAMED) return;
    const name = printable(key.toString("latin1", 0, SHOWN_KEY_BYTES));
    this.#log.warn(
      { code: "SRC-004" },
      `left out of the copy: key ${name}, a ${rdbTypeName(type)}, which this release does not know`,
    );
  }

  /** The copy is complete. */
  end(): void {
    if (this.#count > 0)
      this.#log.warn({ code: "SRC-004", keys: this.#count }, "keys of unknown types were left out of the copy");
  }
}
