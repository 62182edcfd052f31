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

  /** Lets everybody go who waits: the intake ends, and they see why by themselves. */
  open(): void {
    this.#bytes = 0;
    this.remove(0);
  }
}
