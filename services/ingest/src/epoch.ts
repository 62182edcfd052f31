import type { Records } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import { epochRecord, recordKey } from "@sluice/wire";

const ATTEMPTS = 10;

/** The next epoch of a pipeline, higher than `above` and than any that was handed out, to nobody else (H6). */
export async function nextEpoch(records: Records, pipeline: string, above: number): Promise<number> {
  const key = recordKey.epoch(pipeline);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(key, epochRecord);
    const epoch = Math.max(current?.value.epoch ?? 0, above) + 1;
    const revision = await records.compareAndSet(key, epochRecord, { epoch }, current?.revision ?? 0);
    if (revision !== null) return epoch;
  }
  throw new Retryable("BUS-001", "bus", `the epoch of ${pipeline} was changed by others ${ATTEMPTS} times in a row`);
}
