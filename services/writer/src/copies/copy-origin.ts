import type { Batch } from "@sluice/wire";

/** Where a lane goes on behind a copy: what the copy stands for, and the message of the changes from which they are read. */
export interface Landing {
  readonly offset: number;
  readonly sequence: number;
}

/** Where the copy of a lane comes from, and what of the lane's changes belongs to it. */
export interface CopyOrigin {
  readonly epoch: number;
  readonly copy: number;
  readonly shard: string;
  /** Whether another copy has taken its place: what is missing of it is missed by nobody. */
  isOver(): Promise<boolean>;
  /** Whether its end must be stored by now, so that one which is not there is lost. */
  isEndDue(): Promise<boolean>;
  /**
   * The copy is complete: where the lane goes on. Null when it is over, or the session ended, before that could be told. Throws `CopyNeeded`
   * where the changes do not lead on from it.
   */
  landing(end: Batch, sequence: number): Promise<Landing | null>;
}
