/** How far one group has come in a lane: the mark as it was read back from the destination. */
export interface AppliedPosition {
  readonly epoch: number;
  readonly copy: number;
  readonly phase: "snap" | "live";
  readonly offset: number;
  readonly sequence: number;
}

/** A purge costs the bus time: a lane is trimmed when so much can go … */
const TRIM_BYTES = 64 * 1024 * 1024;
/** … or when so long has passed since the last time. */
const TRIM_EVERY_MS = 60_000;
const NOTE_EVERY_MS = 1_000;
/** Notes that cover `keepApplied`; with a longer one they stand further apart. */
const NOTES = 512;

interface Note {
  readonly atMs: number;
  readonly sequence: number;
  readonly offset: number;
}

/**
 * What may be removed from the live subject of one lane. Pure: it is told of positions and asked with the time.
 *
 * A message may go when every group had applied what stands behind it `keepAppliedMs` ago, on this process's monotonic clock.
 * So the lowest sequence over the groups is noted once a second; the newest note that is old enough says what may go:
 *
 *     notes     12 @0s   57 @1s   …   900 @600s   960 @601s          keepAppliedMs = 10 min, now = 601 s
 *                         └── messages below 57 may go
 *
 * Nothing is noted unless every group is live in the same epoch, by whichever of its copies. A group's sequence counts only once its offset has grown in
 * phase live: at the flip it may still be that of the copy's end, which stands behind live messages that are not applied yet.
 * The message at the noted sequence itself stays, and whoever purges must keep the subject's last one.
 *
 * A destination may go back to an older state and need again what is kept for that. So nothing goes while a group is not live,
 * and notes above where the lowest group stands now are worth nothing any more.
 */
export class LaneTrim {
  readonly #keepAppliedMs: number;
  readonly #noteEveryMs: number;
  readonly #flippedAt = new Map<string, { readonly history: string; readonly offset: number }>();
  #notes: Note[] = [];
  #history = "";
  #isComplete = false;
  #trimmed: Note | null = null;

  constructor(keepAppliedMs: number) {
    this.#keepAppliedMs = keepAppliedMs;
    this.#noteEveryMs = Math.max(NOTE_EVERY_MS, keepAppliedMs / NOTES);
  }

  /** The positions of all groups of the lane as they are now; null for a group that has none yet. */
  note(nowMs: number, groups: ReadonlyMap<string, AppliedPosition | null>): void {
    const lowest = this.#lowestOf(groups);
    this.#isComplete = lowest !== null;
    if (lowest === null) return;
    if (lowest.history !== this.#history) {
      this.#history = lowest.history;
      this.#notes = [];
      this.#trimmed = null;
    }
    const { sequence, offset } = lowest;
    while ((this.#notes.at(-1)?.sequence ?? 0) > sequence) this.#notes.pop();
    this.#trimmed ??= { atMs: nowMs, sequence: 0, offset };
    const newest = this.#notes.at(-1);
    if (newest === undefined || nowMs - newest.atMs >= this.#noteEveryMs) this.#notes.push({ atMs: nowMs, sequence, offset });
    while (this.#notes.length > 1 && this.#notes[1]!.atMs <= nowMs - this.#keepAppliedMs) this.#notes.shift();
  }

  /**
   * Messages of the live subject below this sequence may be removed now; null when none may, or too few are worth it. `isUrgent`:
   * the stream is running out of room, so nothing that is applied is kept, and no purge is too small.
   */
  due(nowMs: number, isUrgent = false): number | null {
    const candidate = this.#candidate(nowMs, isUrgent);
    const trimmed = this.#trimmed;
    if (candidate === null || trimmed === null || candidate.sequence <= trimmed.sequence) return null;
    const isWorthIt = isUrgent || candidate.offset - trimmed.offset >= TRIM_BYTES || nowMs - trimmed.atMs >= TRIM_EVERY_MS;
    return isWorthIt ? candidate.sequence : null;
  }

  /** What `due` allowed was removed. */
  done(nowMs: number, isUrgent = false): void {
    const candidate = this.#candidate(nowMs, isUrgent);
    if (candidate !== null) this.#trimmed = { ...candidate, atMs: nowMs };
  }

  #candidate(nowMs: number, isUrgent: boolean): Note | null {
    if (isUrgent) return this.#notes.at(-1) ?? null;
    const oldest = this.#isComplete ? this.#notes[0] : undefined;
    return oldest !== undefined && oldest.atMs <= nowMs - this.#keepAppliedMs ? oldest : null;
  }

  #lowestOf(groups: ReadonlyMap<string, AppliedPosition | null>): { history: string; sequence: number; offset: number } | null {
    let lowest: AppliedPosition | null = null;
    let history: string | null = null;
    let isComplete = groups.size > 0;
    for (const [group, position] of groups) {
      if (position?.phase !== "live") {
        isComplete = false;
        continue;
      }
      const own = `${position.epoch}.${position.copy}`;
      const flipped = this.#flippedAt.get(group);
      if (flipped?.history !== own) this.#flippedAt.set(group, { history: own, offset: position.offset });
      // Groups that were added later are in the same history, by another copy of it.
      const epoch = String(position.epoch);
      if (flipped?.history !== own || position.offset <= flipped.offset || epoch !== (history ?? epoch)) isComplete = false;
      history = epoch;
      if (lowest === null || position.sequence < lowest.sequence) lowest = position;
    }
    return isComplete && lowest !== null && history !== null
      ? { history, sequence: lowest.sequence, offset: lowest.offset }
      : null;
  }
}

/** One full copy of a shard. */
export interface CopyName {
  readonly epoch: number;
  readonly copy: number;
}

/**
 * When the subject of a lane's finished copy may be emptied: once every group has been past the copy for `keepAppliedMs` without
 * a break, on this process's monotonic clock. Until then a destination that comes back with an older state, its mark in the
 * middle of the copy, finds the rest of it. A new process counts from its own first look: later than need be, never earlier.
 */
export class CopyTrim {
  readonly #keepAppliedMs: number;
  #finished: (CopyName & { readonly sinceMs: number }) | null = null;

  constructor(keepAppliedMs: number) {
    this.#keepAppliedMs = keepAppliedMs;
  }

  /** To be asked at every look, with the copy that every group has finished; null while there is none. */
  due(nowMs: number, finished: CopyName | null): CopyName | null {
    const known = this.#finished;
    if (finished === null) this.#finished = null;
    else if (known?.epoch !== finished.epoch || known.copy !== finished.copy) this.#finished = { ...finished, sinceMs: nowMs };
    const isKept = this.#finished === null || nowMs - this.#finished.sinceMs < this.#keepAppliedMs;
    return isKept ? null : finished;
  }
}

/** The copy that an epoch of a shard began with, where every group is live in the epoch, by this copy or a later one. */
export function finishedCopy(
  shard: Pick<AppliedPosition, "epoch" | "copy">,
  groups: Iterable<AppliedPosition | null>,
): CopyName | null {
  for (const position of groups) {
    if (position?.phase !== "live" || position.epoch !== shard.epoch || position.copy < shard.copy) return null;
  }
  return { epoch: shard.epoch, copy: shard.copy };
}

/**
 * Whether a group needs copy `of` no more, which was made for its addition: its lane is live by that one or a later one, or goes on by an
 * earlier one of the epoch, since only other lanes of the group could not. One that is in trouble may be about to need it.
 */
export function isPast(
  lane: (AppliedPosition & { readonly addition?: number | undefined; readonly retry?: unknown }) | null,
  of: CopyName,
  addition: number | undefined,
): boolean {
  if (lane?.phase !== "live" || lane.epoch !== of.epoch) return false;
  return lane.copy >= of.copy || (lane.addition === addition && lane.addition !== undefined && lane.retry === null);
}
