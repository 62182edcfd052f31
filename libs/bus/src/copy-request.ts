import { Retryable } from "@sluice/runtime";
import { epochRecord, recordKey, topologyRecord } from "@sluice/wire";
import type { Records } from "./records.ts";

const ATTEMPTS = 10;
const MOST_EVENTS = 50;

/**
 * Asks for a new copy of a shard: raises its floor to the epoch counter, so that its ingest begins a new epoch. Does nothing where
 * `epoch`, which can't be built on any more, is at or below the floor already: somebody else, or an earlier try, has asked. `why` stands
 * in the topology's event. Throws `Retryable` BUS-001, and what the records throw.
 */
export async function requestCopy(
  records: Pick<Records, "get" | "compareAndSet">,
  pipeline: string,
  shard: string,
  epoch: number,
  why: string,
  nowMs: number,
): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(recordKey.topology(pipeline), topologyRecord);
    const own = current?.value.shards.find(({ id }) => id === shard);
    if (current === null || own === undefined || own.floor >= epoch) return;
    const floor = Math.max(epoch, (await records.get(recordKey.epoch(pipeline), epochRecord))?.value.epoch ?? 0);
    const shards = current.value.shards.map((one) => (one.id === shard ? { ...one, floor } : one));
    const events = [...current.value.events, { at: nowMs, text: `copied anew: ${shard}, because ${why}` }].slice(-MOST_EVENTS);
    const next = { ...current.value, shards, events };
    if ((await records.compareAndSet(recordKey.topology(pipeline), topologyRecord, next, current.revision)) !== null) return;
  }
  throw new Retryable("BUS-001", "bus", `the topology of ${pipeline} was changed by others ${ATTEMPTS} times in a row`);
}
