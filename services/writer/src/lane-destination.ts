import type { PendingIds } from "@sluice/redis";
import type { Batch, Position, SnapshotRows } from "@sluice/wire";
import type { ChangeSlice } from "./apply/plan-changes.ts";
import type { Abilities } from "./rewrite/abilities.ts";
import type { LaneHistory } from "./repair/repair-book.ts";
import type { UnitRun } from "./repair/unit-runs.ts";
import type { KeySet } from "./snapshot/key-set.ts";

/** Batches of changes that are applied together, and where that leads. */
export interface ChangeGroup {
  /** In order; `batch` is what the slice came from, the last part of it where it came in parts, and `sequence` its message's. */
  readonly slices: readonly { readonly slice: ChangeSlice; readonly batch: Batch; readonly sequence: number }[];
  readonly target: Position;
}

/** One entry of a full copy: row `row` of `rows`, its key, and its raw value in pieces. */
export interface SnapshotValue {
  readonly rows: SnapshotRows;
  readonly row: number;
  readonly key: Buffer;
  readonly value: readonly Buffer[];
}

/** One entry of a full copy whose value comes in pieces. */
export interface PartedValue extends Omit<SnapshotValue, "value"> {
  /** Of a stream: `pendingIds` of its value; null for all else. */
  readonly pending: PendingIds | null;
}

/** A value that is written as its bytes come; nothing of it shows before `finish`. */
export interface ValueBuild {
  push(piece: Buffer): Promise<void>;
  /** All bytes have come: the key has this value from here on, in the step that moves the lane to `target`. Returns how many bytes it took. */
  finish(target: Position): Promise<number>;
}

/** What a destination ran without anybody reading how it went. */
export interface UnjudgedSpan {
  /** Where it begins: units that end above this offset, and the message to read them from. */
  readonly from: { readonly offset: number; readonly sequence: number };
  /** Offset at which its last unit ends, and the message that this one stands in. */
  readonly to: { readonly offset: number; readonly sequence: number };
}

/**
 * One lane's view of a destination: where the lane stands there, and the steps that move it. Each step changes the data and its
 * mark together or not at all, however often it is repeated; every one of them throws `StaleMark` when another writer was there.
 * A destination object lives as long as its connections; the lane's owner then opens another.
 */
export interface LaneDestination {
  readonly name: string;
  /** What commands it takes, as it was when it was opened; of a cluster what all of its nodes take. */
  readonly abilities: Abilities;
  /** Where the lane stands: everything up to here is applied, as the destination itself says. Null before its first copy. */
  readonly position: Position | null;
  /** Highest offset that any part of a live lane is applied up to; above `position` where a part of it is ahead. 0 while not live. */
  readonly reached: number;
  /** First digits of the replication id under which `reached` was written; null where its mark does not say. */
  readonly reachedIn: string | null;
  /** What of the lane was there and is gone, for people; null when nothing is known to be. */
  readonly lost: string | null;
  /** Sequence that a restart would read on from; behind `position` where the destination is told of it later. */
  readonly safeSequence: number;
  /** Set where an earlier writer ended before it read how its last units had gone; `judge` comes before anything is applied then. */
  readonly unjudged: UnjudgedSpan | null;
  /**
   * Finds out how the units of `unjudged` went, as far as that can be told, and does what the policy says. `runs`: these units;
   * null where the stream does not hold them any more. Throws `Halt` DST-004 where the policy is to halt.
   */
  judge(runs: readonly UnitRun[] | null): Promise<void>;
  /** Applies the units that are not there yet. Returns how many bytes that took. */
  applyChanges(group: ChangeGroup): Promise<number>;
  /** The lane goes on in this history behind `position`: what was repaired from another one that it does not share is read again. */
  follow(history: LaneHistory): Promise<void>;
  /**
   * Whether the destination still holds what this lane left there, to be asked while nothing is applied. Throws `StaleMark` when
   * a mark is gone or another, and `Retryable` when a server took another's place: either way the lane asks anew where it stands.
   */
  confirm(): Promise<void>;
  /** Whether nothing stands in the lane's slots but keys of Sluice itself; false also where finding out would cost a walk over all keys. */
  isEmpty(): Promise<boolean>;
  /** A copy begins: from here on nothing of earlier histories is accepted. `isClean`: the destination is known to hold nothing else. */
  claim(target: Position, isClean: boolean): Promise<void>;
  /** Writes entries of the copy. `target.offset`: entries of the lane so far. Returns how many bytes that took. */
  applyValues(values: readonly SnapshotValue[], target: Position): Promise<number>;
  /**
   * Begins an entry whose bytes are not all there yet, of a type that has elements; null where it is none of the lane's. One at a time. What broke
   * off is never gone on with: the next attempt is another one.
   */
  build(value: PartedValue): Promise<ValueBuild | null>;
  /** Deletes what the copy did not hold. Returns how many keys that were. */
  sweep(held: Pick<KeySet, "has">): Promise<number>;
  /** The copy is complete: the lane is live at `target`. */
  goLive(target: Position): Promise<void>;
  close(): void;
}
