import { SLOWEST_COPY_BYTES_PER_SECOND } from "@sluice/wire";

/** Measurements that one verdict is made of; its median counts. */
const SAMPLES = 5;
/** However slow the source is, a copy is read at this pace, or at what the operator allows where that is less. */
export const LEAST_BYTES_PER_SECOND = SLOWEST_COPY_BYTES_PER_SECOND;
/** Measurements before the copy that tell how far away the source is. */
const BASE_SAMPLES = 3;
/** A source may fork for long before it sends anything: the last ones count. */
const MOST_BASE_SAMPLES = 50;
/** What is no slower than this many times the source before the copy is not slow by our reading. */
const BASE_FACTOR = 2;
/** Slower in halves, faster in smaller steps, so that the pace does not swing about the limit. */
const RECOVERY = 1.5;

/**
 * At which pace a full copy is read while the source's latency is watched. Pure.
 *
 * Every `SAMPLES` measurements there is a verdict, by those since the last one, so that each step is judged by what came of it:
 *
 *     median above threshold   half of the pace, or of what was really read where that is less; not below `LEAST_BYTES_PER_SECOND`
 *     otherwise                half as much again, up to what is allowed
 *
 *     threshold = max(limit, 2 × base)      base = median of what was measured before the first byte of the RDB
 *
 * A limit below the ordinary round trip would hold the copy back for ever, whatever its pace. Without a base the limit alone counts.
 *
 * Where no pace is set the first step is half of what was read, and the copy is let go again once it may be read as fast as that. A source that
 * is slow while nothing is read of it (it forks) is not slow by our reading: the pace stays.
 */
export class LatencyRule {
  readonly #limitMs: number;
  readonly #mostBytesPerSecond: number;
  #samples: number[] = [];
  #bytesPerSecond: number;
  /** What was read when the holding back began. */
  #beganAt = 0;
  #medianMs = 0;
  #baseMs = 0;
  #isCopying = false;

  /** `mostBytesPerSecond`: infinite where the operator sets no pace. */
  constructor(limitMs: number, mostBytesPerSecond: number) {
    this.#limitMs = limitMs;
    this.#mostBytesPerSecond = mostBytesPerSecond;
    this.#bytesPerSecond = mostBytesPerSecond;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** The pace is below what is allowed, because of the source's latency. */
  get isHolding(): boolean {
    return this.#bytesPerSecond < this.#mostBytesPerSecond;
  }

  /** Of the last verdict; 0 before the first one. */
  get medianMs(): number {
    return this.#medianMs;
  }

  /** Of the source before the copy; 0 while that is not known. */
  get baseMs(): number {
    return this.#baseMs;
  }

  /** A median above this one is slow. */
  get thresholdMs(): number {
    return Math.max(this.#limitMs, BASE_FACTOR * this.#baseMs);
  }

  /** There are measurements enough to begin the copy. */
  get isBased(): boolean {
    return this.#isCopying || this.#samples.length >= BASE_SAMPLES;
  }

  /** The first byte of the RDB is here: what was measured so far is what the source takes without our reading. */
  copyBegins(): void {
    if (this.#samples.length > 0) this.#baseMs = medianOf(this.#samples);
    this.#samples = [];
    this.#isCopying = true;
  }

  /** Adds a measurement. `readBytesPerSecond`: what was read since the last verdict. True where there is a verdict. */
  measured(latencyMs: number, readBytesPerSecond: number): boolean {
    this.#samples.push(latencyMs);
    if (!this.#isCopying) {
      if (this.#samples.length > MOST_BASE_SAMPLES) this.#samples.shift();
      return false;
    }
    if (this.#samples.length < SAMPLES) return false;
    this.#medianMs = medianOf(this.#samples);
    this.#samples = [];
    if (this.#medianMs > this.thresholdMs) this.#slower(readBytesPerSecond);
    else if (this.isHolding) this.#faster();
    return true;
  }

  #slower(readBytesPerSecond: number): void {
    if (readBytesPerSecond <= 0) return;
    if (!this.isHolding) this.#beganAt = Math.min(this.#mostBytesPerSecond, readBytesPerSecond);
    const least = Math.min(LEAST_BYTES_PER_SECOND, this.#mostBytesPerSecond);
    this.#bytesPerSecond = Math.max(least, Math.min(this.#bytesPerSecond, readBytesPerSecond) / 2);
  }

  #faster(): void {
    const next = this.#bytesPerSecond * RECOVERY;
    const isFree = Number.isFinite(this.#mostBytesPerSecond) ? next >= this.#mostBytesPerSecond : next >= this.#beganAt;
    this.#bytesPerSecond = isFree ? this.#mostBytesPerSecond : next;
  }
}

/** The higher one of the two in the middle of an even number. */
function medianOf(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[samples.length >> 1] as number;
}
