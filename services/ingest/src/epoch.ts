import type { Records } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import { epochRecord, recordKey, shardRecord, SlotSet, topologyRecord } from "@sluice/wire";

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

/** The shard for which an epoch is taken, by the topology that its intake was made from. */
export interface EpochShard {
  readonly pipeline: string;
  readonly shard: string;
  readonly slots: SlotSet;
  readonly floor: number;
}

/**
 * As `nextEpoch`, for a shard whose slots are still the ones that it is read by; throws `Retryable` SRC-003 where they are not.
 *
 * An epoch that was taken while the shard's slots changed hands would be a copy by the old slots that nobody asks to repeat:
 * the router writes the topology, then raises the floors to the epoch counter until it stands still, and we look at the
 * topology after taking the epoch; so one of the two sees the other.
 */
export async function beginEpoch(records: Records, of: EpochShard, above: number): Promise<number> {
  const { pipeline, shard, slots, floor } = of;
  const epoch = await nextEpoch(records, pipeline, Math.max(floor, above));
  const topology = await records.get(recordKey.topology(pipeline), topologyRecord);
  const own = topology?.value.shards.find(({ id }) => id === shard);
  if (own?.floor === floor && epoch > floor && SlotSet.parse(own.slots).equals(slots)) return epoch;
  throw new Retryable("SRC-003", `source ${shard}`, `the slots of ${shard} changed while its copy began`);
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
