import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 2;

/** What a probe needs of a client. */
export interface ProbeClient {
  set(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<string | null>;
}

/** Measures how long a write at the source takes to be seen in the destination. */
export class Probe {
  readonly #source: ProbeClient;
  readonly #destination: ProbeClient;
  readonly #keys: readonly string[];
  readonly #times: number[] = [];
  #number = 0;

  /** `keys`: one for each lane. */
  constructor(source: ProbeClient, destination: ProbeClient, keys: readonly string[]) {
    this.#source = source;
    this.#destination = destination;
    this.#keys = keys;
  }

  /**
   * Writes once into every lane and waits until the destination shows all of it. Milliseconds, or null when `signal` aborts
   * before that.
   */
  async measureAll(signal: AbortSignal): Promise<number | null> {
    const times = await Promise.all(this.#keys.map((key) => this.#measure(key, signal)));
    return times.includes(null) ? null : Math.max(...times.filter((time) => time !== null));
  }

  /** Measures once every `intervalMs`, in one lane after the other, until `signal` aborts, and keeps the times. */
  async repeat(intervalMs: number, signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn++) {
      const time = await this.#measure(this.#keys[turn % this.#keys.length] ?? "", signal);
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

  async #measure(key: string, signal: AbortSignal): Promise<number | null> {
    const value = String(++this.#number);
    const startMs = performance.now();
    await this.#source.set(key, value);
    while (!signal.aborted) {
      if ((await this.#destination.get(key)) === value) return performance.now() - startMs;
      await delay(POLL_MS);
    }
    return null;
  }
}
