/** A stop that is given no other time ends after this one even when not all that is stored was applied: it stays in the stream for the next start. */
export const STOP_LIMIT_MS = 15_000;
/** Ingest has written its last record when no shard is assigned and none changed for so long. */
const QUIET_MS = 1_500;

export interface StoppingLane {
  readonly label: string;
  readonly isHalted: boolean;
  /** Its copy can't come to an end any more. */
  readonly isCopyCut: boolean;
  readonly isLive: boolean;
  /** What the lane's record says it has applied. */
  readonly offset: number;
  /** What ingest says is stored. */
  readonly storedOffset: number;
  /** Where the last message of the lane's live subject ends, in the shard's epoch; null where there is none. */
  readonly tailOffset: number | null;
}

export interface StoppingFacts {
  /** Since the wish to stop was seen. */
  readonly sinceMs: number;
  readonly areShardsAssigned: boolean;
  /** Since a shard's record last changed. */
  readonly quietMs: number;
  readonly lanes: readonly StoppingLane[];
  /** How long that may take. */
  readonly limitMs: number;
  /** It ends only when all that is stored is applied, however long that takes. */
  readonly isPatient: boolean;
}

export interface StopState {
  readonly isDone: boolean;
  readonly reason: string;
  /** By lane, bytes of the source's stream up to what is stored that are not applied; null where not even a copy is, 0 where only a unit behind its mark failed. */
  readonly unapplied: Readonly<Record<string, number | null>>;
}

/**
 * Whether a pipeline that shall stop has: ingest is gone, and every lane has applied what is stored, or can't. A lane has when
 * its offset is at the stored one, or where the subject's last message ends: behind it only bytes that make no unit were read.
 */
export function stopGate({ sinceMs, limitMs, areShardsAssigned, quietMs, lanes, isPatient }: StoppingFacts): StopState {
  const undrained = lanes.filter((lane) => !isDrained(lane));
  const behind = undrained.filter((lane) => !lane.isHalted && !lane.isCopyCut);
  const unapplied = Object.fromEntries(
    undrained.map(({ label, storedOffset, offset, isLive }) => [label, isLive ? Math.max(0, storedOffset - offset) : null]),
  );
  if (!areShardsAssigned && quietMs >= QUIET_MS && undrained.length === 0) {
    return { isDone: true, reason: "stopped by the operator; all that was read from the source is applied", unapplied };
  }
  const isGivenUp = !areShardsAssigned && quietMs >= QUIET_MS && behind.length === 0;
  if (isGivenUp || (sinceMs >= limitMs && !isPatient)) {
    return {
      isDone: true,
      reason: "stopped by the operator; what is stored and not applied yet is applied after the next start",
      unapplied,
    };
  }
  if (areShardsAssigned || quietMs < QUIET_MS) return { isDone: false, reason: "stopping: ingest is still reading", unapplied };
  return {
    isDone: false,
    unapplied,
    reason: `stopping: ${namesOf(behind)} still ${behind.length === 1 ? "applies" : "apply"} what is stored`,
  };
}

/** Where there are many lanes one of them stands for all, so that the reason does not change with each that is done. */
function namesOf(lanes: readonly StoppingLane[]): string {
  const [first, ...others] = lanes;
  return `lane ${first?.label ?? "none"}${others.length === 0 ? "" : " and others"}`;
}

function isDrained(lane: StoppingLane): boolean {
  // Some halts leave the mark behind the unit that failed.
  if (lane.isHalted || !lane.isLive) return false;
  return lane.offset >= lane.storedOffset || (lane.tailOffset !== null && lane.offset >= lane.tailOffset);
}
