import { laneLabels, laneOf, type KnownPipeline } from "../lifecycle/pipeline-book.ts";
import { laneLag, type SourceView } from "./lane-lag.ts";
import { RateBook } from "./rate-book.ts";

/**
 * How fast a pipeline reads, copies and applies, by records that it is shown once a second. What its shards and lanes count begins
 * anew whenever another instance takes them, so only what a count has grown by is added to a sum of our own.
 */
export class PipelineRates {
  readonly #book = new RateBook();
  readonly #seen = new Map<string, number>();
  readonly #sums = new Map<string, number>();

  /** `nowMs`: monotonic. */
  take(known: KnownPipeline, sources: ReadonlyMap<string, SourceView>, nowMs: number): void {
    for (const [id, { value }] of known.shards) {
      this.#grow(`${id} keys`, value.copied.keys, `${id} keys`);
      this.#grow(`${id} bytes`, value.bytes, `${id} bytes`);
      this.#grow(`${id} copied`, value.copied.bytes, `${id} bytes`);
    }
    const lags = new Map<string, number>();
    for (const { label, group, shardId } of laneLabels(known)) {
      const heard = laneOf(known, label);
      if (heard === undefined) continue;
      const lane = heard.value;
      const feed = `${group}.${shardId}`;
      this.#grow(`${label} keys`, lane.keys, `${feed} keys`);
      this.#grow(`${label} units`, lane.units, `${feed} units`);
      this.#grow(`${label} bytes`, lane.bytes, `${feed} bytes`);
      const { bytes } = laneLag(heard, known.shards.get(shardId)?.value, sources.get(shardId));
      if (bytes !== null) lags.set(`${feed} lag`, Math.max(bytes, lags.get(`${feed} lag`) ?? 0));
    }
    this.#book.take(new Map([...this.#sums, ...lags]), nowMs);
  }

  shard(id: string): { readonly keys: number | null; readonly bytes: number | null } {
    return { keys: this.#book.perSecond(`${id} keys`), bytes: this.#book.perSecond(`${id} bytes`) };
  }

  /** `lag`: of its bytes; below 0 while it catches up. */
  feed(group: string, shard: string): Readonly<Record<"keys" | "units" | "bytes" | "lag", number | null>> {
    const of = (what: string): number | null => this.#book.perSecond(`${group}.${shard} ${what}`);
    return { keys: of("keys"), units: of("units"), bytes: of("bytes"), lag: of("lag") };
  }

  #grow(count: string, value: number, sum: string): void {
    const grown = Math.max(0, value - (this.#seen.get(count) ?? value));
    this.#seen.set(count, value);
    this.#sums.set(sum, (this.#sums.get(sum) ?? 0) + grown);
  }
}
