import { systemClock, type Clock } from "@sluice/runtime";

/** A clock on which everything takes a given part of the time that passes for others. */
export class FastClock implements Clock {
  readonly #factor: number;

  constructor(factor: number) {
    this.#factor = factor;
  }

  nowMs(): number {
    return Math.round(systemClock.nowMs() * this.#factor);
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() * this.#factor;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms / this.#factor, signal);
  }
}
