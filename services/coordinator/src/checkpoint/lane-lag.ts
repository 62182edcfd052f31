import type { ShardRecord } from "@sluice/wire";
import type { HeardLane } from "../lifecycle/pipeline-book.ts";
import type { SourceSample } from "./source-sampler.ts";

/** What the source says, as far as it can be asked; see `SourceSampler`. */
export interface SourceView {
  readonly newest: SourceSample | null;
  lagSeconds(appliedOffset: number, heardAtMs: number): number | null;
}

export interface LaneLag {
  /** Bytes of the source's stream that the destination does not hold; null before the copy is done. */
  readonly bytes: number | null;
  /** See `OffsetRing`; null before a sample of the same history is applied. */
  readonly seconds: number | null;
  /** The lane has applied all that the source had written at the newest sample, and that one is fresh. */
  readonly isDrained: boolean;
}

const UNKNOWN: LaneLag = { bytes: null, seconds: null, isDrained: false };

/**
 * How far a lane is behind the source. Offsets compare only within one history: the lane is live in the shard's epoch, and the
 * sample bears the replid that ingest follows.
 */
export function laneLag(heard: HeardLane | undefined, shard: ShardRecord | undefined, source: SourceView | undefined): LaneLag {
  const lane = heard?.value;
  if (heard === undefined || lane === undefined || shard === undefined || lane.phase !== "live" || lane.epoch !== shard.epoch)
    return UNKNOWN;
  const sample = source?.newest ?? null;
  if (source === undefined || sample === null || (sample.replid !== null && sample.replid !== shard.replid)) {
    return { ...UNKNOWN, bytes: Math.max(0, shard.storedOffset - lane.offset) };
  }
  return {
    bytes: Math.max(0, Math.max(sample.offset, shard.storedOffset) - lane.offset),
    seconds: source.lagSeconds(lane.offset, heard.heardAtMs),
    isDrained: sample.isFresh && lane.offset >= sample.offset,
  };
}
