import type { Records } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import { epochRecord, recordKey, topologyRecord } from "@sluice/wire";

const ATTEMPTS = 10;
const MOST_EVENTS = 50;

/**
 * What a lane needs to go on is missing: a batch, a part of a copy, or the message that its mark names. Nothing but a new copy of
 * its shard can mend that. The lane's present epoch is void from here on.
 */
export class CopyNeeded extends Retryable {
  /** Epoch of what can't be built on; every earlier one is void, too. */
  readonly epoch: number;
  constructor(message: string, epoch: number) {
    super("BUS-003", "bus", message);
    this.epoch = epoch;
  }
}

/**
 * Asks for a new copy of a shard: raises its floor to the epoch counter, so that its ingest begins a new epoch. Does nothing where
 * `epoch` is at or below the floor already: another lane, or an earlier try, has asked.
 */
export async function requestCopy(
  records: Records,
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
