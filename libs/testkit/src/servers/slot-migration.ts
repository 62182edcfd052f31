import type { Redis } from "ioredis";
import { slotRanges } from "./key-slot.ts";

const SLOTS_AT_ONCE = 64;
const KEYS_PER_MIGRATE = 100;
const MIGRATE_TIMEOUT_MS = 10_000;

export interface MigrationEnd {
  readonly id: string;
  readonly port: number;
  readonly client: Redis;
}

export interface MigrationPlan {
  readonly slots: readonly number[];
  readonly from: MigrationEnd;
  readonly to: MigrationEnd;
  /** Primaries that are told the new owner besides the two ends. */
  readonly others: readonly Redis[];
}

/** Moves slots with their keys by the protocol of CLUSTER SETSLOT ("Redis Cluster live resharding explained"), 64 at a time. */
export async function migrateSlots(plan: MigrationPlan): Promise<void> {
  for (let at = 0; at < plan.slots.length; at += SLOTS_AT_ONCE) {
    const part = { ...plan, slots: plan.slots.slice(at, at + SLOTS_AT_ONCE) };
    await openMigration(part);
    await moveKeys(part);
    await closeMigration(part);
  }
}

/** From now on both ends answer for the slots: the old owner for keys that it has, the new one, asked by ASKING, for the others. */
export async function openMigration({ slots, from, to }: MigrationPlan): Promise<void> {
  await forEachSlot(to.client, slots, "IMPORTING", from.id);
  await forEachSlot(from.client, slots, "MIGRATING", to.id);
}

/** Moves the keys of slots between `openMigration` and `closeMigration`. @param keysPerSlot the most that are moved of each slot */
export async function moveKeys({ slots, from, to }: MigrationPlan, keysPerSlot = Infinity): Promise<void> {
  for (const slot of slots) {
    for (let moved = 0; moved < keysPerSlot;) {
      const count = Math.min(KEYS_PER_MIGRATE, keysPerSlot - moved);
      const keys = await from.client.callBuffer("CLUSTER", "GETKEYSINSLOT", slot, count);
      if (!isKeys(keys)) throw new Error(`slot ${slot}: GETKEYSINSLOT did not answer with keys`);
      if (keys.length === 0) break;
      await from.client.call("MIGRATE", "127.0.0.1", to.port, "", 0, MIGRATE_TIMEOUT_MS, "KEYS", ...keys);
      moved += keys.length;
    }
  }
}

/** Makes the new owner known; it is told first, so that no slot is without one. The slots must have no keys left at the old one. */
export async function closeMigration({ slots, from, to, others }: MigrationPlan): Promise<void> {
  for (const client of [to.client, from.client, ...others]) await forEachSlot(client, slots, "NODE", to.id);
}

/** Gives slots that nobody owns to a node. */
export async function claimSlots(client: Redis, slots: Iterable<number>): Promise<void> {
  await client.call("CLUSTER", "ADDSLOTSRANGE", ...slotRanges(slots).flat());
}

async function forEachSlot(client: Redis, slots: readonly number[], state: string, id: string): Promise<void> {
  await Promise.all(slots.map((slot) => client.call("CLUSTER", "SETSLOT", slot, state, id)));
}

function isKeys(reply: unknown): reply is Buffer[] {
  return Array.isArray(reply) && reply.every((key) => Buffer.isBuffer(key));
}
