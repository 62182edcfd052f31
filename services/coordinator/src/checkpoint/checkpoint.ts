import { isDeepStrictEqual } from "node:util";
import type { CheckpointRecord, LaneRecord, ShardRecord } from "@sluice/wire";

/** Where a restart resumes, by the newest records of shards and lanes. */
export function checkpointOf(
  shards: ReadonlyMap<string, ShardRecord>,
  lanes: ReadonlyMap<string, LaneRecord>,
  nowMs: number,
): CheckpointRecord {
  const checkpoint: CheckpointRecord = { shards: {}, lanes: {}, at: nowMs };
  for (const [id, { replid, storedOffset, db, epoch }] of shards)
    checkpoint.shards[id] = { replid, offset: storedOffset, db, epoch };
  for (const [label, { sequence, offset, epoch }] of lanes) checkpoint.lanes[label] = { sequence, offset, epoch };
  return checkpoint;
}

/** True when two checkpoints resume at the same place, whenever they were made. */
export function isSameCheckpoint(a: CheckpointRecord, b: CheckpointRecord): boolean {
  return isDeepStrictEqual({ ...a, at: 0 }, { ...b, at: 0 });
}
