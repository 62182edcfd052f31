import type { LaneStream, StreamSize } from "@sluice/bus";
import type { Clock } from "@sluice/runtime";

/** Two scrapers and a person ask for metrics within so long: NATS is asked once. */
const FRESH_MS = 5_000;
/** Whoever asks for metrics waits for NATS no longer than this. */
const LIMIT_MS = 2_000;

/** Sizes of the streams of pipelines, asked for now and then. */
export class StreamSizes {
  readonly #streamOf: (pipeline: string) => Pick<LaneStream, "size">;
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly size: StreamSize | null; readonly atMs: number }>();

  constructor(streamOf: (pipeline: string) => Pick<LaneStream, "size">, clock: Clock) {
    this.#streamOf = streamOf;
    this.#clock = clock;
  }

  /** By pipeline; of those that NATS says nothing of in time, what it said 5 s ago at most is not known any more. */
  async of(pipelines: readonly string[]): Promise<ReadonlyMap<string, StreamSize | null>> {
    const named = new Set(pipelines);
    for (const name of this.#known.keys()) if (!named.has(name) || !this.#isFresh(name)) this.#known.delete(name);
    const asked = Promise.all(pipelines.filter((name) => !this.#known.has(name)).map(async (name) => this.#ask(name)));
    const given = new AbortController();
    await Promise.race([asked, this.#clock.sleep(LIMIT_MS, given.signal)]);
    given.abort();
    return new Map([...this.#known].map(([name, { size }]) => [name, size]));
  }

  async #ask(name: string): Promise<void> {
    try {
      const size = await this.#streamOf(name).size();
      this.#known.set(name, { size, atMs: this.#clock.monotonicMs() });
    } catch {
      // NATS is away: the size is not known.
    }
  }

  #isFresh(name: string): boolean {
    const atMs = this.#known.get(name)?.atMs;
    return atMs !== undefined && this.#clock.monotonicMs() - atMs < FRESH_MS;
  }
}
