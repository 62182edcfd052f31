/** One look at the source's own offset, on this process's monotonic clock. */
interface Sample {
  readonly offset: number;
  readonly atMs: number;
}

/** Samples that are kept; older ones are thinned out, so that any lag can be told, an old one less exactly. */
const CAPACITY = 1024;

/**
 * Tells the lag in seconds without writing to the source: the source's offset is sampled once a second, and a lane is as far
 * behind as the newest sample is old whose offset it has applied.
 *
 *     sampled   100 @0s    180 @1s    260 @2s    300 @3s        now = 3.2 s
 *     applied   200   →    180 is applied, 260 is not: 2.2 s
 *     applied   300   →    the newest is applied: 0 s
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
    // While nothing is written only the newest of equal samples says anything.
    if (newest?.offset === offset) this.#samples.pop();
    this.#samples.push({ offset, atMs });
    if (this.#samples.length > CAPACITY) {
      const half = CAPACITY / 2;
      this.#samples = this.#samples.filter((_, index) => index >= half || index % 2 === 0);
    }
  }

  clear(): void {
    this.#samples = [];
  }

  /** Seconds; null when no sample is applied (none was taken yet, or the lane is further behind than they reach). */
  lagSeconds(appliedOffset: number, nowMs: number): number | null {
    let low = 0;
    let high = this.#samples.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#samples[middle]!.offset <= appliedOffset) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    if (low === this.#samples.length) return 0;
    return Math.max(0, (nowMs - this.#samples[low - 1]!.atMs) / 1000);
  }
}
