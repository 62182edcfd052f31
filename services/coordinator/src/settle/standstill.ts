import { Retryable, type Clock } from "@sluice/runtime";

const TICK_MS = 250;
/** Whoever stood still for so long may have lost its lease, and another may have gone on. */
export const STANDSTILL_MS = 3_000;

/**
 * Tells whether this process stood still (it was paused, or its machine was): its clock then jumps between two ticks. What it
 * waits for, however slow, is no standstill.
 */
export class Standstill {
  readonly #clock: Clock;
  #lastMs: number;
  #longestMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMs = clock.monotonicMs();
  }

  /** Ticks until `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#tick();
      await this.#clock.sleep(TICK_MS, signal);
    }
  }

  /** To be asked before every change. Throws `Retryable` DST-003 when it has stood still since it was made. */
  check(): void {
    this.#tick();
    if (this.#longestMs <= STANDSTILL_MS) return;
    const forMs = Math.round(this.#longestMs);
    throw new Retryable("DST-003", "destination", `the coordinator stood still for ${forMs} ms; looking at all again`);
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }
}
