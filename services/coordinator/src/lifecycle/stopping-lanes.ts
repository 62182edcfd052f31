import type { StoredMessage } from "@sluice/bus";
import { BatchError, decodeBatch, liveSubject, servedCopy, snapSubject, type LaneRecord, type ShardRecord } from "@sluice/wire";
import { isEndOfCopy } from "../checkpoint/copy-end.ts";
import { laneLabels, laneOf, type KnownPipeline } from "./pipeline-book.ts";
import type { StoppingLane } from "./stop-gate.ts";

export interface StoppingLanesOptions {
  /** What can't be applied without the source is given up. */
  readonly isForced: boolean;
  /** Ingest still stores changes: how far the lanes have to go is not known yet. */
  readonly areShardsAssigned: boolean;
  /** The last message of a subject; null where there is none. */
  readonly tail: (subject: string) => Promise<StoredMessage | null>;
}

/** How far the lanes of a pipeline are that shall stop; those of a shard of which nothing was ever read are left out. */
export async function stoppingLanes(known: KnownPipeline, options: StoppingLanesOptions): Promise<StoppingLane[]> {
  const { isForced, areShardsAssigned } = options;
  const since = known.spec?.revision ?? 0;
  const tail = askedOnce(options.tail);
  const lanes = await Promise.all(
    laneLabels(known).map(async ({ label, group, shardId, lane }): Promise<StoppingLane | null> => {
      const shard = known.shards.get(shardId)?.value;
      if (shard === undefined) return null;
      const stored = laneOf(known, label);
      const seen = stored?.value;
      const offset = seen?.offset ?? 0;
      const isLive = seen?.phase === "live" && seen.epoch === shard.epoch;
      const isBehind = offset < shard.storedOffset || !isLive;
      const last = isBehind && !areShardsAssigned ? await tail(liveSubject(known.name, shardId, lane)) : null;
      const isCopying = !areShardsAssigned && !isLive;
      const served = servedCopy(shard, group, known.spec?.value.additions?.[group]);
      const copied = isCopying && served !== null ? await tail(snapSubject(known.name, served.copy, shardId, lane)) : null;
      return {
        label,
        // Keys that the source has to repair can't be had without it. Whatever else a lane waits for, settling needs too.
        isHalted:
          Boolean(seen?.halt) || (isForced && stored !== undefined && stored.revision > since && waitsForSource(stored.value)),
        // A group that no copy serves gets none without ingest. Of a shard that had just been taken it is not known: its lanes may have something to apply.
        isCopyCut: isCopying && ((served === null && (isForced || shard.epoch > 0)) || isCut(seen, shard, last, copied)),
        isLive,
        offset,
        storedOffset: shard.storedOffset,
        tailOffset: last === null ? null : endOf(last, shard.epoch),
      };
    }),
  );
  return lanes.filter((lane) => lane !== null);
}

function waitsForSource({ retry }: LaneRecord): boolean {
  return retry?.endpoint.startsWith("source ") === true;
}

/**
 * Whether a lane that is not live can't become so any more, and stands where it ends: in a copy whose end is not stored, or behind
 * everything that is stored, while its shard's new epoch reached no lane. `last`, `copied`: the last messages of its changes and copy.
 */
function isCut(
  seen: LaneRecord | undefined,
  shard: ShardRecord,
  last: StoredMessage | null,
  copied: StoredMessage | null,
): boolean {
  const isEnd = (epoch: number): boolean => copied !== null && isEndOfCopy(epoch, copied.payload);
  if (isEnd(shard.epoch)) return false;
  // A writer that has just taken the lane reports epoch 0 until it has read the mark.
  if (seen === undefined || seen.epoch === 0) return last === null && copied === null;
  if (seen.phase === "snap") return !isEnd(seen.epoch);
  return last === null || seen.sequence >= last.sequence;
}

/** Where a message ends; null for one of another epoch, and for one that is no batch: its lane halts and says so. */
function endOf({ payload }: StoredMessage, inEpoch: number): number | null {
  try {
    const { epoch, last } = decodeBatch(payload);
    return epoch === inEpoch ? last : null;
  } catch (cause) {
    if (cause instanceof BatchError) return null;
    throw cause;
  }
}

/** All groups of a pipeline read the same subjects. */
function askedOnce(tail: StoppingLanesOptions["tail"]): StoppingLanesOptions["tail"] {
  const asked = new Map<string, Promise<StoredMessage | null>>();
  return async (subject) => {
    const answer = asked.get(subject) ?? tail(subject);
    asked.set(subject, answer);
    return answer;
  };
}
