import type { CopyRecord } from "@sluice/wire";
import type { LaneHead } from "../lanes/lane-batch.ts";
import { batchersByLane, snapshotFeed, type Feed, type FeedOptions } from "../lanes/lane-feed.ts";
import type { StoredTails } from "../lanes/lane-tails.ts";
import type { SnapshotBatcher } from "../lanes/snapshot-batcher.ts";
import { CopyThrottle } from "./copy-throttle.ts";
import { FullCopy, type FullCopyOptions } from "./full-copy.ts";
import type { IntakeOptions } from "./intake.ts";

export interface EpochCopyOptions
  extends Omit<FullCopyOptions, "log">, Pick<IntakeOptions, "cut" | "slots" | "endpoint" | "clock" | "log" | "copyLimits"> {
  readonly feed: FeedOptions;
  /** The shard's lanes, in ascending order, and the tail of each. */
  readonly lanes: readonly number[];
  readonly tails: readonly StoredTails[];
  readonly head: LaneHead;
  /** S, which the copy stands for. */
  readonly offset: number;
  /** By what the source said of itself before. */
  readonly expectedKeys: number;
  readonly signal: AbortSignal;
  /** The end of a lane's copy is stored. `index`: in the order of the lanes. */
  readonly onLaneStored: (index: number) => void;
}

/** The full copy that an epoch begins with: from a link's bytes to the stored end in every lane. */
export class EpochCopy {
  readonly #feeds: readonly Feed<SnapshotBatcher>[];
  readonly #copy: FullCopy;
  readonly #throttle: CopyThrottle;
  readonly #expectedKeys: number;
  #isReceived = false;
  #isClosed = false;

  constructor(options: EpochCopyOptions) {
    const { feed, lanes, tails, head, offset, copyLimits = {}, onLaneStored } = options;
    this.#feeds = tails.map(({ snapSequence }, index) => {
      const onStored = (): void => {
        feed.onStored();
        if (this.#isClosed && this.#feeds[index]?.batcher.isEmpty === true) onLaneStored(index);
      };
      return snapshotFeed(lanes[index] as number, head, offset, snapSequence, { ...feed, onStored });
    });
    this.#copy = new FullCopy(batchersByLane(this.#feeds, options), options.slots, options);
    this.#throttle = new CopyThrottle({ ...options, limits: copyLimits });
    this.#expectedKeys = options.expectedKeys;
  }

  /** What the link's bytes are read by. */
  get transfer(): FullCopy["transfer"] {
    return this.#copy.transfer;
  }

  /** The RDB is here whole and verified: nothing of the link belongs to the copy any more. */
  get isReceived(): boolean {
    return this.#isReceived;
  }

  /** Every lane's end is stored. */
  get isStored(): boolean {
    return this.#isClosed && this.#feeds.every(({ batcher }) => batcher.isEmpty);
  }

  /** See `FullCopy.streamDb`. */
  get streamDb(): number | null {
    return this.#copy.streamDb;
  }

  get progress(): CopyRecord {
    return this.#copy.progress(this.#expectedKeys);
  }

  /** Takes the next bytes of the link and returns how many belong to the copy: all of them until it is received. Throws `RdbError`, `Retryable` SRC-004, SRC-020. */
  push(chunk: Buffer): number {
    const taken = this.transfer.push(chunk);
    if (this.transfer.done) {
      this.#isReceived = true;
      void this.#throttle.end();
    }
    this.#poke();
    return taken;
  }

  /** It is received: gives every lane's copy its end. */
  close(): void {
    this.#copy.finish();
    this.#isClosed = true;
    this.#poke();
  }

  /** Resolves when more may be read, `bytes` after the last time. */
  async pace(bytes: number): Promise<void> {
    if (!this.#isReceived && this.transfer.passedBytes > 0) await this.#throttle.pass(bytes);
  }

  /** Nothing more is read. Resolves when nothing of it is open any more; may be called again. */
  async end(): Promise<void> {
    await this.#throttle.end();
  }

  #poke(): void {
    for (const { publisher } of this.#feeds) publisher.poke();
  }
}
