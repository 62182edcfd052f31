import { isDeepStrictEqual } from "node:util";
import type { CheckpointRecord, LaneRecord, ShardRecord } from "@sluice/wire";

/**
 * Where a restart resumes, by the newest records of the shards and lanes that there are; null for one without a record. One
 * that has just been taken over and does not know yet where it stands (epoch 0) keeps its place in `previous`; what is gone
 * from the topology has none any more.
 */
export function checkpointOf(
  previous: CheckpointRecord | null,
  shards: ReadonlyMap<string, ShardRecord | null>,
  lanes: ReadonlyMap<string, LaneRecord | null>,
  nowMs: number,
): CheckpointRecord {
  const checkpoint: CheckpointRecord = { shards: {}, lanes: {}, at: nowMs };
  for (const [id, shard] of shards) {
    const known = previous?.shards[id];
    if (shard !== null && shard.epoch > 0) {
      const { replid, storedOffset, db, epoch } = shard;
      checkpoint.shards[id] = { replid, offset: storedOffset, db, epoch };
    } else if (known !== undefined) checkpoint.shards[id] = known;
  }
  for (const [label, lane] of lanes) {
    const known = previous?.lanes[label];
    if (lane !== null && lane.epoch > 0) {
      const { sequence, offset, epoch } = lane;
      checkpoint.lanes[label] = { sequence, offset, epoch };
    } else if (known !== undefined) checkpoint.lanes[label] = known;
  }
  return checkpoint;
}

/** True when two checkpoints resume at the same place, whenever they were made. */
export function isSameCheckpoint(a: CheckpointRecord, b: CheckpointRecord): boolean {
  return isDeepStrictEqual({ ...a, at: 0 }, { ...b, at: 0 });
}
