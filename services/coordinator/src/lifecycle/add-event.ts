import type { Records } from "@sluice/bus";
import { recordKey, topologyRecord } from "@sluice/wire";

const ATTEMPTS = 5;
const MOST_EVENTS = 50;

/** Tells people of something that happened to a pipeline; where others write its topology all the time it is left out. */
export async function addEvent(records: Records, pipeline: string, text: string, nowMs: number): Promise<void> {
  const key = recordKey.topology(pipeline);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(key, topologyRecord);
    if (current === null) return;
    const events = [...current.value.events, { at: nowMs, text }].slice(-MOST_EVENTS);
    if ((await records.compareAndSet(key, topologyRecord, { ...current.value, events }, current.revision)) !== null) return;
  }
}
