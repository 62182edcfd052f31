/** An offset of the source and when it was asked for, on this process's monotonic clock. */
interface Sample {
  readonly offset: number;
  /** The first time of several in a row, while nothing is written. */
  readonly sinceMs: number;
  /** The last of them. */
  readonly atMs: number;
}

/** Samples that are kept; older ones are thinned out, so that any lag can be told, an old one less exactly. */
const CAPACITY = 1024;

/**
 * Tells the lag in seconds without writing to the source: the source's offset is sampled several times a second, and a lane is
 * as far behind as the newest sample is old whose offset it has applied. That is asked of the time at which the lane told how far
 * it was: samples taken later say nothing of it.
 *
 *     sampled   100 @0s    180 @1s    260 @2s    300 @3s
 *     applied   200 @3.2s   →    180 is applied, 260 is not: 2.2 s
 *     applied   300 @3.2s   →    the newest is applied: 0 s
 *     applied   260 @2.5s   →    the newest of that time is applied: 0 s
 *
 * When the ring is full every other sample of its older half is dropped: then the lag of a lane that is very far behind reads
 * too high, never too low. A source whose offset goes back has another history: the ring forgets the old one.
 */
export class OffsetRing {
  #samples: Sample[] = [];

  get newest(): Sample | null {
    return this.#samples.at(-1) ?? null;
  }

  get size(): number {
    return this.#samples.length;
  }

  add(offset: number, atMs: number): void {
    const newest = this.newest;
    if (newest !== null && offset < newest.offset) this.clear();
    const isSame = this.newest?.offset === offset;
    if (isSame) this.#samples.pop();
    this.#samples.push({ offset, sinceMs: isSame ? newest!.sinceMs : atMs, atMs });
    if (this.#samples.length > CAPACITY) {
      const half = CAPACITY / 2;
      this.#samples = this.#samples.filter((_, index) => index >= half || index % 2 === 0);
    }
  }

  clear(): void {
    this.#samples = [];
  }

  /** Seconds by which a lane was behind at `whenMs`; null when no sample is applied (none was taken yet, or they don't reach so far). */
  lagSeconds(appliedOffset: number, whenMs: number): number | null {
    let low = 0;
    let high = this.#samples.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#samples[middle]!.offset <= appliedOffset) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    const missing = this.#samples[low];
    if (missing === undefined || missing.sinceMs > whenMs) return 0;
    return Math.max(0, (whenMs - this.#samples[low - 1]!.atMs) / 1000);
  }
}
