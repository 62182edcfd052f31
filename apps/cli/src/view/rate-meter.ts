interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** Growth per second of a counter over the last `windowMs`. A counter that falls was started anew: what it counted before is forgotten. */
export class RateMeter {
  readonly #windowMs: number;
  #samples: Sample[] = [];

  constructor(windowMs = 4_000) {
    this.#windowMs = windowMs;
  }

  /** `atMs`: any clock that never goes back. */
  add(atMs: number, value: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && value < last.value) this.#samples = [];
    this.#samples.push({ atMs, value });
    while (this.#samples.length > 2 && (this.#samples[1] as Sample).atMs <= atMs - this.#windowMs) this.#samples.shift();
  }

  /** 0 before there are two samples. */
  get perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return ((last.value - first.value) * 1000) / (last.atMs - first.atMs);
  }
}
