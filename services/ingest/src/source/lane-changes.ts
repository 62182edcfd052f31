import type { Endpoint } from "@sluice/redis";
import type { Clock } from "@sluice/runtime";
import type { SlotSet } from "@sluice/wire";
import type { ChangeBatcher } from "../lanes/change-batcher.ts";
import { Heartbeats } from "../lanes/heartbeats.ts";
import type { LaneHead } from "../lanes/lane-batch.ts";
import { batchersByLane, changeFeed, type Feed, type FeedOptions } from "../lanes/lane-feed.ts";
import type { LaneEnd } from "../lanes/lane-fences.ts";
import { storedOffset } from "../lanes/stored-offset.ts";
import { ChangeReader } from "./change-reader.ts";
import type { ScriptBodies } from "./script-bodies.ts";
import { SourceQuestions } from "./source-questions.ts";
import { UnknownWrites } from "./unknown-writes.ts";

export interface LaneChangesOptions {
  readonly shard: string;
  readonly endpoint: Endpoint;
  readonly slots: SlotSet;
  readonly cut: number;
  readonly clock: Clock;
  readonly scripts: ScriptBodies;
  readonly publishes?: boolean;
  readonly feed: FeedOptions;
  /** The shard's lanes, in ascending order, and where each one ends. */
  readonly lanes: readonly number[];
  readonly ends: readonly Readonly<LaneEnd>[];
  readonly head: LaneHead;
  /** Where the stream begins, and the database that it is in. */
  readonly offset: number;
  readonly db: number;
  /** Of the source. */
  readonly version: number;
  /** The lanes' copies are on their way. */
  readonly besideCopy: boolean;
  readonly signal: AbortSignal;
}

/** The changes of one link on their way: from the source's stream into the shard's lanes. */
export class LaneChanges {
  readonly #feeds: readonly Feed<ChangeBatcher>[];
  readonly #reader: ChangeReader;
  readonly #unknown: UnknownWrites;
  readonly #clock: Clock;
  readonly #onStored: ((() => void) | undefined)[] = [];
  #beats: Heartbeats | null = null;

  constructor(options: LaneChangesOptions) {
    const { shard, endpoint, slots, clock, scripts, publishes = false, feed, lanes, ends, head, version, signal } = options;
    const { offset, db } = options;
    this.#clock = clock;
    this.#unknown = new UnknownWrites(shard, version, new SourceQuestions(shard, endpoint, signal));
    this.#feeds = ends.map(({ last, db: endDb, sequence }, index) => {
      const onStored = (): void => this.#onStored[index]?.();
      const one = changeFeed(lanes[index] as number, head, last, endDb, sequence, { ...feed, onStored });
      one.batcher.besideCopy = options.besideCopy;
      return one;
    });
    this.#reader = new ChangeReader({
      shard,
      lanes: batchersByLane(this.#feeds, options),
      slots,
      offset,
      db,
      version,
      nowMs: () => clock.nowMs(),
      unknown: this.#unknown,
      scripts,
      publishes,
    });
  }

  /** Everything up to here is stored. */
  get storedOffset(): number {
    return storedOffset(
      this.#feeds.map(({ batcher }) => batcher),
      this.#reader.boundary,
    );
  }

  get db(): number {
    return this.#reader.db;
  }

  get commands(): number {
    return this.#reader.commands;
  }

  /** Bytes of messages that were closed while their lane's copy was on its way. */
  get besideBytes(): number {
    let bytes = 0;
    for (const { batcher } of this.#feeds) bytes += batcher.besideBytes;
    return bytes;
  }

  /** The link is read from now on: lanes that have nothing of their own are told how far the stream is. */
  begin(): void {
    this.#beats = new Heartbeats(this.#feeds, this.#reader, this.#clock);
  }

  end(): void {
    this.#beats?.end();
  }

  /** The source sent something. */
  heard(): void {
    this.#beats?.heard();
  }

  /** The next bytes of the stream. Null when they are taken; else resolves when what had to be asked for them is answered. Throws what `ChangeReader.push` does. */
  push(chunk: Buffer): Promise<void> | null {
    return this.#reader.push(chunk) ? null : this.#unknown.learnFor(this.#reader, () => this.poke());
  }

  poke(): void {
    for (const { publisher } of this.#feeds) publisher.poke();
  }

  /** The end of a lane's copy is stored. `index`: in the order of the lanes. */
  copied(index: number): void {
    const lane = this.#feeds[index];
    if (lane !== undefined) lane.batcher.besideCopy = false;
  }

  /**
   * The stream is in `db` where it begins, and does not say so itself. Before its first byte. Resolves when every lane has stored that: until then whoever
   * resumed from the lanes would take it to be in the one that their fences say.
   */
  async beginIn(db: number): Promise<void> {
    this.#reader.beginIn(db);
    const stored = this.#feeds.map(async (_, index) => new Promise<void>((resolve) => (this.#onStored[index] = resolve)));
    for (const { batcher, publisher } of this.#feeds) {
      batcher.heartbeat(this.#reader.boundary, db);
      publisher.poke();
    }
    await Promise.all(stored);
  }
}
