/** Full copies that may break off in a row before the next ones are spaced … */
const FREE_TRIES = 3;
/** … by so much at first, doubling … */
const FIRST_WAIT_MS = 15_000;
/** … up to this. */
const LONGEST_WAIT_MS = 15 * 60_000;
/**
 * A link that lived for so long behind its full copy has come through. Far above the 60 s after which a source cuts a link by the
 * soft limit of its output buffer (redis.conf, `client-output-buffer-limit replica 256mb 64mb 60`).
 */
const OUTLIVED_MS = 10 * 60_000;

/**
 * Counts full copies that broke off one after the other, so that a source which can't send one (its output buffer is too small for
 * what is written meanwhile) is not made to fork for ever. Times are monotonic ms.
 */
export class CopyTries {
  #broken = 0;
  #brokenAtMs = 0;
  #why = "";

  get broken(): number {
    return this.#broken;
  }

  /** What broke off the last one. */
  get why(): string {
    return this.#why;
  }

  /** A link that began with a full copy ended; `streamedMs`: how long the copy had been complete by then, null if it was not. */
  ended(streamedMs: number | null, nowMs: number, why: string): void {
    if (streamedMs !== null && streamedMs >= OUTLIVED_MS) return this.cameThrough();
    this.#broken++;
    this.#brokenAtMs = nowMs;
    this.#why = why;
  }

  /** The source continued what a copy began. */
  cameThrough(): void {
    this.#broken = 0;
  }

  /** How long to leave the source alone before it is asked for another one; 0: not at all. */
  waitMs(nowMs: number): number {
    if (this.#broken < FREE_TRIES) return 0;
    const spaceMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(20, this.#broken - FREE_TRIES));
    return Math.max(0, this.#brokenAtMs + spaceMs - nowMs);
  }
}
