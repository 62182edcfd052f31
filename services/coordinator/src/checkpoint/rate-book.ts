/** How far back a rate looks. Records come once a second: a shorter span would jump. */
const SPAN_MS = 10_000;

interface Sample {
  readonly atMs: number;
  readonly figures: ReadonlyMap<string, number>;
}

/** Named figures over the last 10 s, and how fast each of them moves. Pure: it is told of the time. */
export class RateBook {
  #samples: Sample[] = [];

  /** `nowMs`: monotonic. */
  take(figures: ReadonlyMap<string, number>, nowMs: number): void {
    this.#samples.push({ atMs: nowMs, figures });
    // The oldest one stays for as long as the next is younger than the span.
    const first = this.#samples.findIndex(({ atMs }) => nowMs - atMs < SPAN_MS);
    if (first > 1) this.#samples.splice(0, first - 1);
  }

  /** Change per second; null before it was sampled twice. */
  perSecond(name: string): number | null {
    const from = this.#samples.find(({ figures }) => figures.has(name));
    const to = this.#samples.at(-1);
    if (from === undefined || to === undefined || !to.figures.has(name) || to.atMs <= from.atMs) return null;
    return ((to.figures.get(name) as number) - (from.figures.get(name) as number)) / ((to.atMs - from.atMs) / 1000);
  }
}
