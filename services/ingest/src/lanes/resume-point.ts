import { BatchKind, type Batch } from "@sluice/wire";

/** The last batch of a lane's two subjects, null where there is none. */
export interface LaneTail {
  readonly live: Batch | null;
  readonly snap: Batch | null;
}

/** Where a shard's stream is to be continued. */
export interface ResumePoint {
  readonly epoch: number;
  readonly replid: string;
  /** Lowest end of a lane: PSYNC asks for what follows. */
  readonly offset: number;
  /** Database that is selected at `offset`: a continued stream does not say it again (H35). */
  readonly db: number;
  /** Highest end of a lane: a primary whose history ends before it can't be followed. */
  readonly highest: number;
}

/**
 * The truth about what is stored is the lanes' tails, never a record and never memory (H5). Null when nothing can be continued:
 * a lane is new, the lanes speak of different epochs, or the copy of the epoch was not finished in every lane.
 */
export function resumePoint(tails: readonly LaneTail[]): ResumePoint | null {
  let lowest: Batch | null = null;
  let newest: Batch | null = null;
  let highest = 0;
  for (const { live, snap } of tails) {
    if (live === null || snap === null) return null;
    if (snap.kind !== BatchKind.snapshotEnd || snap.epoch !== live.epoch) return null;
    if (lowest !== null && lowest.epoch !== live.epoch) return null;
    if (lowest === null || live.last < lowest.last) lowest = live;
    if (newest === null || live.term > newest.term) newest = live;
    highest = Math.max(highest, live.last);
  }
  if (lowest === null || newest === null) return null;
  return { epoch: lowest.epoch, replid: newest.replid, offset: lowest.last, db: lowest.db, highest };
}
