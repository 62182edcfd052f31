import { FIRST_COPY, type Addition, type CopiedShard, type Position, type ServedCopy } from "@sluice/wire";

/**
 * What a lane of a group that was added later does first, by its mark and by the copy that serves it:
 *
 * - `join`: writes that copy. Whatever mark stands there is older: it is none, or of an earlier time of the group in the pipeline.
 * - `follow`: goes on from its mark as any lane, which also leads it into the copy that an epoch begins with.
 * - `outdone`: the mark is of a later copy than any that the records tell of: they were set back, or the group was added anew.
 */
export type Joining = "join" | "follow" | "outdone";

/** Pure; see `Joining`. */
export function joiningOf(mark: Position | null, { epoch, copy }: ServedCopy): Joining {
  if (mark?.epoch === epoch && mark.copy > copy) return "outdone";
  if (copy === FIRST_COPY || (mark !== null && mark.epoch > epoch)) return "follow";
  const isDone = mark?.epoch === epoch && mark.copy === copy && mark.phase === "live";
  return isDone ? "follow" : "join";
}

/** Whether a destination says what the lane's record does: that it is live by this copy. */
export function isStanding(mark: Position | null, { epoch, copy }: Pick<ServedCopy, "epoch" | "copy">): boolean {
  return mark?.epoch === epoch && mark.copy === copy && mark.phase === "live";
}

/**
 * Whether a lane that was live by copy `stood`, of the shard's epoch and of this addition of its group, goes on with that, although another copy
 * serves the group by now: then another lane could not use this one. `refused`: what this lane could not go on with.
 */
export function isUnderWay(
  stood: Pick<ServedCopy, "epoch" | "copy">,
  { epoch, joined }: CopiedShard,
  { number, above }: Addition,
  refused: Pick<ServedCopy, "epoch" | "copy"> | null,
): boolean {
  if (stood.epoch !== epoch || (refused?.epoch === epoch && stood.copy <= refused.copy)) return false;
  return stood.copy > Math.max(above, FIRST_COPY) || (joined?.epoch === epoch && number <= joined.number);
}
