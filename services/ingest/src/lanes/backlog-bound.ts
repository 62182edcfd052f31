import type { Clock } from "@sluice/runtime";

/** Bytes that may wait for the bus, over all lanes of a source shard; above it the source is not read … */
export const BACKLOG_HIGH_BYTES = 32 * 1024 * 1024;
/** … until it is below this again. */
export const BACKLOG_LOW_BYTES = 16 * 1024 * 1024;

/** Counts the bytes that wait for the bus, and makes the reader of the source wait when there are too many. */
export class BacklogBound {
  #bytes = 0;
  #waiting: (() => void)[] = [];

  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  remove(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes > BACKLOG_LOW_BYTES) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  get isFull(): boolean {
    return this.#bytes > BACKLOG_HIGH_BYTES;
  }

  /** Resolves when there is room. */
  async room(): Promise<void> {
    if (!this.isFull) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** As `room`, for as long as the bus takes anything: false when nothing was taken for `patienceMs`, and when `signal` aborts. */
  async roomWithin(patienceMs: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
    for (let before = Infinity; this.isFull && this.#bytes < before;) {
      before = this.#bytes;
      const waited = new AbortController();
      await Promise.race([this.room(), clock.sleep(patienceMs, AbortSignal.any([signal, waited.signal]))]);
      waited.abort();
    }
    return !this.isFull;
  }

  /** Lets everybody go who waits: the intake ends, and they see why by themselves. */
  open(): void {
    this.#bytes = 0;
    this.remove(0);
  }
}
