import type { Records } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import { epochRecord, recordKey, shardRecord, topologyRecord } from "@sluice/wire";

const ATTEMPTS = 10;

/**
 * The next epoch of a pipeline, handed out to nobody else (H6): higher than `above`, than the counter, and than what the records of
 * the shards speak of, since the counter's record may be lost. Marks in the destinations are not above these: what they speak of
 * stood in the lanes before; where the lanes are lost with the records, whoever creates the pipeline anew raises the counter by them.
 */
export async function nextEpoch(records: Records, pipeline: string, above: number): Promise<number> {
  const key = recordKey.epoch(pipeline);
  const known = Math.max(above, await highestKnown(records, pipeline));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(key, epochRecord);
    const epoch = Math.max(current?.value.epoch ?? 0, known) + 1;
    const revision = await records.compareAndSet(key, epochRecord, { epoch }, current?.revision ?? 0);
    if (revision !== null) return epoch;
  }
  throw new Retryable("BUS-001", "bus", `the epoch of ${pipeline} was changed by others ${ATTEMPTS} times in a row`);
}

async function highestKnown(records: Records, pipeline: string): Promise<number> {
  const topology = await records.get(recordKey.topology(pipeline), topologyRecord);
  let highest = 0;
  for (const { id, floor } of topology?.value.shards ?? []) {
    const shard = await records.get(recordKey.shard(pipeline, id), shardRecord);
    highest = Math.max(highest, floor, shard?.value.epoch ?? 0);
  }
  return highest;
}
