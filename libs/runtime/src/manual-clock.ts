import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "./clock.ts";

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until it is moved, so that hours of waiting can be gone through in an instant. */
export class ManualClock implements Clock {
  readonly #startMs: number;
  readonly #sleepers = new Set<Sleeper>();
  #elapsedMs = 0;

  /** `startMs`: wall clock at the start. */
  constructor(startMs = 1_700_000_000_000) {
    this.#startMs = startMs;
  }

  /** How many sleeps are under way. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      const sleeper: Sleeper = {
        atMs: this.#elapsedMs + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener("abort", sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", sleeper.wake, { once: true });
    });
  }

  /** Moves the clock by `ms`; whoever sleeps until a time on the way is woken at that time, and works before the clock moves on. */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#elapsedMs + ms;
    await turn();
    for (let next = this.#firstUntil(targetMs); next !== null; next = this.#firstUntil(targetMs)) {
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      next.wake();
      await turn();
    }
    this.#elapsedMs = targetMs;
  }

  #firstUntil(limitMs: number): Sleeper | null {
    let first: Sleeper | null = null;
    for (const sleeper of this.#sleepers) {
      if (sleeper.atMs <= limitMs && (first === null || sleeper.atMs < first.atMs)) first = sleeper;
    }
    return first;
  }
}
