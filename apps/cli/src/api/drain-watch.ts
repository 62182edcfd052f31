import type { PipelineStatus } from "@sluice/wire";

/** Samples of the source that must have been taken since the watch began: the first newer one may have been asked for before it did. */
const SAMPLES_NEEDED = 2;

interface ShardTarget {
  readonly epoch: number;
  readonly offset: number;
}

/**
 * Tells when everything is applied that the source had written when the watch began. No clock of ours is compared with the
 * coordinator's. What the source writes later, such as
 * deletions of expired keys, does not count: with many lanes there may be no moment at which none of that is under way.
 */
export class DrainWatch {
  readonly #targets = new Map<string, ShardTarget>();
  #sampledAt: number | null = null;
  #newer = 0;

  /** Takes statuses in the order they were fetched; true once drained. */
  see(status: PipelineStatus): boolean {
    if (this.#sampledAt !== null && status.sampledAt > this.#sampledAt) this.#newer++;
    this.#sampledAt = Math.max(this.#sampledAt ?? 0, status.sampledAt);
    if (this.#newer < SAMPLES_NEEDED || status.shards.length === 0) return false;
    // All of them are looked at, since that is how targets are taken.
    return status.shards.map((shard) => this.#isReached(shard, status.lanes)).every(Boolean);
  }

  /** Offsets compare within one history only: while every lane is live in the shard's epoch and its lag is known. */
  #isReached(shard: PipelineStatus["shards"][number], lanes: PipelineStatus["lanes"]): boolean {
    const { id, epoch, sourceOffset } = shard;
    const own = lanes.filter((lane) => lane.shard === id);
    const isKnown = own.every((lane) => lane.phase === "live" && lane.epoch === epoch && lane.lagSeconds !== null);
    if (own.length === 0 || !isKnown) return false;
    if (this.#targets.get(id)?.epoch !== epoch && sourceOffset !== null) this.#targets.set(id, { epoch, offset: sourceOffset });
    const target = this.#targets.get(id);
    return target?.epoch === epoch && own.every((lane) => lane.appliedOffset >= target.offset);
  }
}
