/** A batch that is closed: its message, and where the first unit in it begins. */
export interface ClosedBatch {
  readonly message: Buffer;
  /** Offset before the first byte of its first unit; in a copy: keys of the lane before it. */
  readonly from: number;
}

/**
 * What a lane has to publish, in order. `take` closes the open batch when nothing else waits; what was taken counts as unstored
 * until `stored` is called. One taken batch at a time.
 */
export interface BatchQueue {
  take(): ClosedBatch | null;
  stored(): void;
}

/** What stays the same in all batches of a lane while one term lasts. */
export interface LaneHead {
  readonly shard: string;
  readonly epoch: number;
  readonly term: number;
  readonly replid: string;
}
