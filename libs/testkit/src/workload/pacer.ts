/** Of a longer time between two looks only this much counts, so that a slow server does not get a burst. */
const MAX_ELAPSED_MS = 250;

/** How many commands are due, for a steady rate. Time comes in as an argument, in milliseconds of any clock. */
export class Pacer {
  readonly #perMs: number;
  #sinceMs: number | undefined;
  #debt = 0;

  /** @throws RangeError unless the rate is above 0 */
  constructor(ratePerSecond: number) {
    if (!(ratePerSecond > 0)) throw new RangeError(`ratePerSecond is ${ratePerSecond}, expected a number above 0`);
    this.#perMs = ratePerSecond / 1000;
  }

  /** Commands that are due now and were not taken before. What exceeds them may be reported with `overdrawn`. */
  take(nowMs: number): number {
    const elapsedMs = this.#sinceMs === undefined ? 0 : Math.min(nowMs - this.#sinceMs, MAX_ELAPSED_MS);
    this.#sinceMs = nowMs;
    this.#debt += elapsedMs * this.#perMs;
    const due = Math.max(0, Math.floor(this.#debt));
    this.#debt -= due;
    return due;
  }

  /** Commands sent beyond what was due (a transaction is not cut): the next ones wait for it. */
  overdrawn(commands: number): void {
    this.#debt -= commands;
  }

  /** The time until the next `take` does not count. */
  pause(): void {
    this.#sinceMs = undefined;
  }
}
