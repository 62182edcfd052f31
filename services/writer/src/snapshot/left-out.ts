import { Halt, printable, type Logger } from "@sluice/runtime";
import type { DestinationSpec } from "@sluice/wire";

/** Keys that are named in the log; more of them are counted only. */
const MOST_NAMED = 100;
const SHOWN_KEY_BYTES = 80;

export interface LeftOutOptions {
  readonly group: string;
  readonly policy: DestinationSpec["unsupported"];
  readonly log: Logger;
  /** Told of how many more keys or commands something was left out. */
  readonly count: (more: number) => void;
}

/**
 * What a destination can't hold in any form, of one lane: refused, or left out and counted, as the pipeline says. What a step leaves out counts
 * once the step is applied.
 */
export class LeftOut {
  readonly #options: LeftOutOptions;
  #pending = new Map<string, { readonly where: string; readonly what: string }>();
  #named = 0;

  constructor(options: LeftOutOptions) {
    this.#options = options;
  }

  /** Throws `Halt` DST-006 where nothing may be left out. `key` null: what belongs to no key. */
  lacks(db: number, key: Buffer | null, what: string): void {
    const { group, policy } = this.#options;
    const where = key === null ? "the copy" : `key ${printable(key.toString("latin1", 0, SHOWN_KEY_BYTES))} of database ${db}`;
    if (policy === "halt") throw new Halt("DST-006", `${group} can't hold ${what}: ${where}`);
    this.#pending.set(key === null ? what : `${db}:${key.toString("latin1")}`, { where, what });
  }

  /** A step is put together anew: what was noted for it is void. */
  begin(): void {
    if (this.#pending.size > 0) this.#pending = new Map();
  }

  /** The step is applied. */
  settled(): void {
    if (this.#pending.size === 0) return;
    const { group, log, count } = this.#options;
    for (const { where, what } of this.#pending.values()) {
      if (this.#named >= MOST_NAMED) break;
      this.#named++;
      log.warn({ code: "DST-006" }, `${group} can't hold ${what}, which is left out: ${where}`);
      if (this.#named === MOST_NAMED) log.warn({ code: "DST-006" }, `${group}: what else is left out is counted only`);
    }
    count(this.#pending.size);
    this.begin();
  }
}
