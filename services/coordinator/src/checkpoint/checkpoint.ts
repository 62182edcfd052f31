import { isDeepStrictEqual } from "node:util";
import type { CheckpointRecord, LaneRecord, ShardRecord } from "@sluice/wire";

/**
 * Where a restart resumes, by the newest records of shards and lanes. One that has just been taken over and does not know yet
 * where it stands (epoch 0) keeps its place in `previous`.
 */
export function checkpointOf(
  previous: CheckpointRecord | null,
  shards: ReadonlyMap<string, ShardRecord>,
  lanes: ReadonlyMap<string, LaneRecord>,
  nowMs: number,
): CheckpointRecord {
  const checkpoint: CheckpointRecord = { shards: { ...previous?.shards }, lanes: { ...previous?.lanes }, at: nowMs };
  for (const [id, { replid, storedOffset, db, epoch }] of shards) {
    if (epoch > 0) checkpoint.shards[id] = { replid, offset: storedOffset, db, epoch };
  }
  for (const [label, { sequence, offset, epoch }] of lanes) {
    if (epoch > 0) checkpoint.lanes[label] = { sequence, offset, epoch };
  }
  return checkpoint;
}

/** True when two checkpoints resume at the same place, whenever they were made. */
export function isSameCheckpoint(a: CheckpointRecord, b: CheckpointRecord): boolean {
  return isDeepStrictEqual({ ...a, at: 0 }, { ...b, at: 0 });
}
