import { BatchKind, encodeBatch, liveSubject, snapSubject, type Batch } from "@sluice/wire";
import { LanePublisher, publishOne, type LanePublisherOptions } from "../publish/lane-publisher.ts";
import type { BacklogBound } from "./backlog-bound.ts";
import { ChangeBatcher } from "./change-batcher.ts";
import type { LaneHead } from "./lane-batch.ts";
import { SnapshotBatcher } from "./snapshot-batcher.ts";

/** What all lanes of one link have in common. */
export interface FeedOptions extends Omit<LanePublisherOptions, "subject" | "sequence" | "queue"> {
  readonly pipeline: string;
  readonly shard: string;
  readonly copy: number;
  readonly maxBatchBytes: number;
  readonly backlog: BacklogBound;
}

/** A batcher with the publisher that empties it. */
export interface Feed<B> {
  readonly batcher: B;
  readonly publisher: LanePublisher;
}

/**
 * Publishes a fence to a lane: from here on batches of lower terms are void, and whoever still published to the lane is refused.
 * Returns the fence's sequence.
 */
export async function fenceLane(
  lane: number,
  head: LaneHead,
  last: number,
  db: number,
  sequence: number,
  options: FeedOptions,
): Promise<number> {
  const fence: Batch = {
    ...head,
    kind: BatchKind.fence,
    previous: last,
    last,
    db,
    rows: null,
    body: Buffer.alloc(0),
    part: null,
    besideCopy: false,
  };
  const subject = liveSubject(options.pipeline, options.shard, lane);
  return publishOne(encodeBatch(fence), { ...options, subject, sequence });
}

/** Publishes the end of a copy that holds nothing. `sequence`: of the last message of the lane's copies, 0 where there is none. */
export async function storeEmptyCopy(lane: number, head: LaneHead, sequence: number, options: FeedOptions): Promise<void> {
  const end: Batch = {
    ...head,
    kind: BatchKind.snapshotEnd,
    previous: 0,
    last: 0,
    db: 0,
    rows: null,
    body: Buffer.alloc(0),
    part: null,
    besideCopy: false,
  };
  const subject = snapSubject(options.pipeline, options.copy, options.shard, lane);
  await publishOne(encodeBatch(end), { ...options, subject, sequence });
}

/** The changes of a lane, behind its fence. */
export function changeFeed(
  lane: number,
  head: LaneHead,
  last: number,
  db: number,
  sequence: number,
  options: FeedOptions,
): Feed<ChangeBatcher> {
  const batcher = new ChangeBatcher(head, last, db, options.maxBatchBytes, options.backlog);
  const subject = liveSubject(options.pipeline, options.shard, lane);
  return { batcher, publisher: new LanePublisher({ ...options, subject, sequence, queue: batcher }) };
}

/** The copy of a lane. `offset`: S, which the copy stands for. */
export function snapshotFeed(
  lane: number,
  head: LaneHead,
  offset: number,
  sequence: number,
  options: FeedOptions,
): Feed<SnapshotBatcher> {
  const batcher = new SnapshotBatcher(head, offset, options.maxBatchBytes, options.backlog);
  const subject = snapSubject(options.pipeline, options.copy, options.shard, lane);
  return { batcher, publisher: new LanePublisher({ ...options, subject, sequence, queue: batcher }) };
}

/** Batchers by their lane, with nothing where a lane is another shard's. `feeds` are in the order of `lanes`; `cut`: lanes over the slot space. */
export function batchersByLane<B>(
  feeds: readonly Feed<B>[],
  { lanes, cut }: { readonly lanes: readonly number[]; readonly cut: number },
): (B | undefined)[] {
  const byLane = Array.from<B | undefined>({ length: cut });
  for (const [index, { batcher }] of feeds.entries()) byLane[lanes[index] as number] = batcher;
  return byLane;
}
