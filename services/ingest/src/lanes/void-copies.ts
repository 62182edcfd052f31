import type { LaneStream } from "@sluice/bus";
import { describeFault, type Logger } from "@sluice/runtime";
import { BatchKind, liveSubject, snapSubject } from "@sluice/wire";
import type { StoredTails } from "./lane-tails.ts";

export interface NumberedCopy {
  readonly stream: LaneStream;
  readonly pipeline: string;
  readonly shard: string;
  /** Above the one that epochs begin with: no copy ever has this number again. */
  readonly copy: number;
  /** Into how many lanes the slot space is cut. */
  readonly cut: number;
}

/**
 * Removes all that is stored under the number of a copy, its last messages included, in lanes, too, that the shard had once. Returns how many
 * messages it were. Throws `Retryable` BUS-001.
 */
export async function removeNumberedCopy({ stream, pipeline, shard, copy, cut }: NumberedCopy): Promise<number> {
  let removed = 0;
  for (let lane = 0; lane < cut; lane++) {
    const subject = snapSubject(pipeline, copy, shard, lane);
    const tail = await stream.tail(subject);
    if (tail !== null) removed += await stream.trim(subject, tail.sequence + 1);
  }
  return removed;
}

export interface VoidCopiesOptions {
  readonly stream: LaneStream;
  readonly pipeline: string;
  readonly shard: string;
  readonly copy: number;
  readonly lanes: readonly number[];
  /** Of each lane, as they stood before the new epoch's first message. */
  readonly tails: readonly Pick<StoredTails, "snapSequence">[];
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Removes what earlier epochs left of their copies, once every lane holds the fence of a later one. Nobody applies them any more, and
 * of copies that broke off nothing else ever would: with a few of them the stream is full. The last message of each stays, behind
 * which the new copy is published: a reader that finds it without those before it finds the new fence, too.
 *
 * A failure is logged and left at that: the next copy, or the end of this one, takes what remains.
 */
export async function removeVoidCopies({ tails, lanes, signal, log, ...options }: VoidCopiesOptions): Promise<void> {
  const { stream, pipeline, shard, copy } = options;
  let removed = 0;
  try {
    for (const [index, { snapSequence }] of tails.entries()) {
      if (signal.aborted) return;
      if (snapSequence > 0)
        removed += await stream.trim(snapSubject(pipeline, copy, shard, lanes[index] as number), snapSequence);
    }
    if (removed > 0) log.info({ shard, removed }, "messages of earlier copies are removed");
  } catch (cause) {
    log.info({ shard, cause: describeFault(cause) }, "messages of earlier copies are left in the stream");
  }
}

export interface VoidChangesOptions extends Omit<VoidCopiesOptions, "tails" | "copy"> {
  /** Of each lane, as they stood before the new epoch's first message. */
  readonly tails: readonly Pick<StoredTails, "live" | "snap">[];
  /** Sequence of each lane's fence of the new epoch. */
  readonly fences: readonly number[];
}

/**
 * Removes changes that were stored beside a copy which broke off, up to the new epoch's fence: nobody can ever apply them, and the next copy needs their
 * room. A lane whose copy was stored to its end keeps its changes; who is live there may read them. A failure is logged and left at that.
 */
export async function removeVoidChanges({ tails, fences, lanes, signal, log, ...options }: VoidChangesOptions): Promise<void> {
  const { stream, pipeline, shard } = options;
  let removed = 0;
  try {
    for (const [index, { live, snap }] of tails.entries()) {
      if (signal.aborted) return;
      const isLive = live === null || (snap?.kind === BatchKind.snapshotEnd && snap.epoch === live.epoch);
      if (!isLive) removed += await stream.trim(liveSubject(pipeline, shard, lanes[index] as number), fences[index] as number);
    }
    if (removed > 0) log.info({ shard, removed }, "changes beside a copy that broke off are removed");
  } catch (cause) {
    log.info({ shard, cause: describeFault(cause) }, "changes beside a copy that broke off are left in the stream");
  }
}
