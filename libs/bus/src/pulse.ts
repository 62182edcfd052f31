import type { Clock } from "@sluice/runtime";

/**
 * Tells whether something is alive by whether its record's revision still grows, on this observer's own clock: wall clocks of
 * machines are never compared (H42). Pure: it is told of changes and asked with the time.
 */
export class Pulse {
  readonly #seen = new Map<string, { revision: number; atMs: number }>();
  readonly #clock: Pick<Clock, "monotonicMs">;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** A record was seen at `revision`; the same revision again is no sign of life. */
  beat(key: string, revision: number): void {
    if (this.#seen.get(key)?.revision === revision) return;
    this.#seen.set(key, { revision, atMs: this.#clock.monotonicMs() });
  }

  gone(key: string): void {
    this.#seen.delete(key);
  }

  /** Ms since the record last changed; null when it was never seen or is gone. */
  silentMs(key: string): number | null {
    const seen = this.#seen.get(key);
    return seen === undefined ? null : this.#clock.monotonicMs() - seen.atMs;
  }
}
