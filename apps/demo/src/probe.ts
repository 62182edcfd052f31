import { setTimeout as delay } from "node:timers/promises";
import type { RedisServer } from "@sluice/testkit";

const POLL_MS = 2;
const KEY = "sluice-demo:probe";

/** Measures how long a write at the source takes to be seen in the destination. */
export class Probe {
  readonly #source: ReturnType<RedisServer["client"]>;
  readonly #destination: ReturnType<RedisServer["client"]>;
  readonly #times: number[] = [];
  #number = 0;

  constructor(source: RedisServer, destination: RedisServer) {
    this.#source = source.client();
    this.#destination = destination.client();
  }

  /** Writes once and waits until the destination shows it. Milliseconds, or null when `signal` aborts before that. */
  async measure(signal: AbortSignal): Promise<number | null> {
    const value = String(++this.#number);
    const startMs = performance.now();
    await this.#source.set(KEY, value);
    while (!signal.aborted) {
      if ((await this.#destination.get(KEY)) === value) return performance.now() - startMs;
      await delay(POLL_MS);
    }
    return null;
  }

  /** Measures once every `intervalMs` until `signal` aborts, and keeps the times. */
  async repeat(intervalMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const time = await this.measure(signal);
      if (time !== null) this.#times.push(time);
      await delay(intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  get count(): number {
    return this.#times.length;
  }

  /** Median of the times that `repeat` kept, in milliseconds; null when there are none. */
  get medianMs(): number | null {
    return this.#times.toSorted((a, b) => a - b)[Math.floor(this.#times.length / 2)] ?? null;
  }
}
