import { Stopped, type Retryable } from "@sluice/runtime";
import { fenceLane, storeEmptyCopy, type FeedOptions } from "./lane-feed.ts";
import type { LaneHead } from "./lane-batch.ts";
import type { StoredTails } from "./lane-tails.ts";
import type { ResumePoint } from "./resume-point.ts";

/** Where a lane's tail stands: sequence to publish behind, end offset, database. */
export interface LaneEnd {
  sequence: number;
  last: number;
  db: number;
}

/** The history that a fence speaks of. */
export type FencedHistory = Pick<ResumePoint, "epoch" | "replid">;

export interface LaneFencesOptions {
  readonly feed: FeedOptions;
  /** The shard's lanes, in ascending order, and the tail of each. */
  readonly lanes: readonly number[];
  readonly tails: readonly StoredTails[];
  readonly term: number;
}

/** The fences that one term of a shard puts into its lanes, and where the lanes end behind them. */
export class LaneFences {
  readonly #options: LaneFencesOptions;
  readonly #ends: LaneEnd[];

  constructor(options: LaneFencesOptions) {
    this.#options = options;
    this.#ends = options.tails.map(({ live, liveSequence }) => ({
      sequence: liveSequence,
      last: live?.last ?? 0,
      db: live?.db ?? 0,
    }));
  }

  /** In the order of the lanes. */
  get ends(): readonly Readonly<LaneEnd>[] {
    return this.#ends;
  }

  /**
   * Shuts out whoever published to the lanes before this term. Where the lanes can be continued from `point` their fences name its
   * history, else each the one that it holds. Waits for as long as the bus takes nothing.
   */
  async shutOut(point: FencedHistory | null, signal: AbortSignal): Promise<void> {
    for (const index of this.#ends.keys()) {
      const history = point ?? this.#options.tails[index]?.live ?? null;
      if (history !== null) await this.#put(index, history, signal);
    }
  }

  /** Puts a fence into every lane where it ends, or at `at`. Waits for as long as the bus takes nothing. */
  async put(history: FencedHistory, at: Pick<ResumePoint, "offset" | "db"> | null, signal: AbortSignal): Promise<void> {
    for (const index of this.#ends.keys()) {
      if (at !== null) this.#moveTo(index, at);
      await this.#put(index, history, signal);
    }
  }

  /** As `put`, while somebody waits who does not wait long: throws `impatience` where a fence is not stored within `patienceMs`. */
  async putWithin(
    patienceMs: number,
    history: FencedHistory,
    at: Pick<ResumePoint, "offset" | "db"> | null,
    signal: AbortSignal,
    impatience: () => Retryable,
  ): Promise<void> {
    const { clock } = this.#options.feed;
    for (const index of this.#ends.keys()) {
      if (at !== null) this.#moveTo(index, at);
      const [done, givenUp] = [new AbortController(), new AbortController()];
      void clock.sleep(patienceMs, AbortSignal.any([signal, done.signal])).then(() => givenUp.abort());
      try {
        await this.#put(index, history, AbortSignal.any([signal, givenUp.signal]));
      } catch (cause) {
        throw cause instanceof Stopped && !signal.aborted ? impatience() : cause;
      } finally {
        done.abort();
      }
    }
  }

  /** Gives every lane a copy of `history` without a key, and closed: its writers go live where the fence stands. */
  async storeEmptyCopies(history: FencedHistory, signal: AbortSignal): Promise<void> {
    const { feed, lanes, tails } = this.#options;
    for (const [index, { snapSequence }] of tails.entries())
      await storeEmptyCopy(lanes[index] as number, this.#head(history), snapSequence, { ...feed, signal });
  }

  #moveTo(index: number, { offset, db }: Pick<ResumePoint, "offset" | "db">): void {
    const end = this.#ends[index] as LaneEnd;
    end.last = offset;
    end.db = db;
  }

  async #put(index: number, history: FencedHistory, signal: AbortSignal): Promise<void> {
    const { feed, lanes } = this.#options;
    const end = this.#ends[index] as LaneEnd;
    const lane = lanes[index] as number;
    end.sequence = await fenceLane(lane, this.#head(history), end.last, end.db, end.sequence, { ...feed, signal });
  }

  #head({ epoch, replid }: FencedHistory): LaneHead {
    return { shard: this.#options.feed.shard, epoch, term: this.#options.term, replid };
  }
}
