import { slotTag } from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import { laneMarkKey, MarkError, parseMark, SlotSet, slotMarkKey, type Position } from "@sluice/wire";
import type { Redis } from "ioredis";

/** Whose marks a destination is asked for. */
export interface MarkOwner {
  readonly name: string;
  readonly group: string;
  /** Lanes that the slot space may be cut into. */
  readonly lanes: number;
}

/** Shards whose marks are looked for in a standalone destination: the records that would name them may be lost. */
const SHARDS = 32;
/** Keys asked for in one go. */
const KEYS = 512;

/** Where the marks stand of every lane that may ever have existed, in a destination that is one server; all with the tag of slot 0. */
export function laneMarkKeys({ name, group, lanes }: MarkOwner): string[] {
  const tag = slotTag(0);
  const keys: string[] = [];
  for (let shard = 0; shard < SHARDS; shard++) {
    for (let lane = 0; lane < lanes; lane++) keys.push(laneMarkKey(tag, name, group, `s${shard}`, lane));
  }
  return keys;
}

/** What stands at `laneMarkKeys`, as text. */
export async function laneMarks(client: Redis, owner: MarkOwner): Promise<string[]> {
  return valuesOf(client, laneMarkKeys(owner));
}

/** The marks of the slots of one node of a cluster, as text. Rejects when a slot moves away meanwhile. */
export async function slotMarks(client: Redis, slots: string, { name, group }: MarkOwner): Promise<string[]> {
  const keys = [...SlotSet.parse(slots)].map((slot) => slotMarkKey(slotTag(slot), name, group));
  return valuesOf(client, keys);
}

/** The values of those keys that there are. */
async function valuesOf(client: Redis, keys: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (let from = 0; from < keys.length; from += KEYS) {
    const pipeline = client.pipeline();
    for (const key of keys.slice(from, from + KEYS)) pipeline.get(key);
    for (const [error, text] of (await pipeline.exec()) ?? []) {
      if (error !== null) throw error;
      if (typeof text === "string") found.push(text);
    }
  }
  return found;
}

/** The mark of the highest epoch; what is wrong with the first that is none; null without marks. */
export function highestMark(texts: readonly string[]): Position | string | null {
  let highest: Position | null = null;
  for (const text of texts) {
    try {
      const mark = parseMark(text);
      if (highest === null || mark.epoch > highest.epoch) highest = mark;
    } catch (cause) {
      if (cause instanceof MarkError) return describeFault(cause);
      throw cause;
    }
  }
  return highest;
}
