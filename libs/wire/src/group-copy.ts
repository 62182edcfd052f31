import { z } from "zod";
import { retryRecord } from "./trouble-record.ts";

const count = z.number().int().nonnegative();

/** Progress of a full copy; the expected figures are the source's own estimate when it began, 0 where unknown. */
export const copyRecord = z.object({ keys: count, expectedKeys: count, bytes: count, expectedBytes: count });
export type CopyRecord = z.output<typeof copyRecord>;

/** A group that came to a pipeline that had run already. */
export const addition = z.object({
  /** Counts the additions of the pipeline; never given twice, so that a group that comes again is another one. */
  number: count,
  /** Highest number of a copy that the destination's marks of the group spoke of then: its own copy's lies above. */
  above: count,
});
export type Addition = z.output<typeof addition>;

/** What a pipeline's spec says of groups that were added later. */
export interface AddedGroups {
  /** By group; one that is absent was there from the beginning. */
  readonly additions?: Readonly<Record<string, Addition>> | undefined;
}

/**
 * A copy of a shard beside the one that its epoch began with, for groups that were added later.
 *
 *     waiting   for its turn, or to be tried again
 *     copying   it comes from the source; what is stored of it may be applied
 *     stored    every lane's end is stored
 *     void      nobody applies it any more, and its messages are to be removed
 */
export const groupCopy = z.object({
  epoch: count,
  /** Copies are numbered by shard, from 2 on; no number is given twice. */
  copy: z.number().int().min(2),
  /** Whom it is for: number of the addition by group. */
  groups: z.record(z.string(), count),
  phase: z.enum(["waiting", "copying", "stored", "void"]),
  /** S, the source's offset that it stands for, and the history of that; 0 and empty while it waits. */
  offset: count,
  replid: z.string(),
  copied: copyRecord,
  /** What it waits for. */
  retry: retryRecord.nullable(),
});
export type GroupCopy = z.output<typeof groupCopy>;

/** Copies of a shard that a writer group can't use, by group: each names the highest of an epoch. Written by the groups' writers. */
export const voidCopiesRecord = z.object({
  groups: z.record(z.string(), z.object({ epoch: count, copy: count, why: z.string() })),
});
export type VoidCopiesRecord = z.output<typeof voidCopiesRecord>;

/** What a shard's record says of its copies. */
export interface CopiedShard {
  readonly epoch: number;
  /** Additions up to this number came before the epoch began, which it is: its first copy serves them. */
  readonly joined?: { readonly epoch: number; readonly number: number } | undefined;
  readonly copies?: readonly GroupCopy[] | undefined;
}

/** The copy of a shard that serves a group. */
export interface ServedCopy {
  readonly epoch: number;
  /** 1 for the one that the epoch began with. */
  readonly copy: number;
  /** Every lane's end is stored, where its phase tells that. */
  readonly isStored: boolean;
}

/**
 * Which copy of a shard serves a group; null while none does. A group that was there from the beginning is always served by the copy that
 * an epoch begins with; one that was added later by that of every epoch that began behind its addition, and else by one of its own.
 */
export function servedCopy(shard: CopiedShard, group: string, added: Addition | undefined): ServedCopy | null {
  const { epoch, joined, copies = [] } = shard;
  if (epoch === 0) return null;
  const isOfEpoch = added === undefined || (joined?.epoch === epoch && added.number <= joined.number);
  const own = copies.findLast(
    (one) => one.epoch === epoch && one.phase !== "void" && one.groups[group] === added?.number && added !== undefined,
  );
  if (own !== undefined && own.phase !== "waiting") return { epoch, copy: own.copy, isStored: own.phase === "stored" };
  return isOfEpoch && own === undefined ? { epoch, copy: FIRST_COPY, isStored: false } : null;
}

/** Copies are numbered inside an epoch; the one that an epoch begins with is for all groups that there are then. */
export const FIRST_COPY = 1;
