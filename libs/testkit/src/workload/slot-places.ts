import { keySlot, SLOTS } from "../servers/key-slot.ts";
import { keyName, type KeyKind } from "./key-name.ts";

/** Slots, evenly spread, that get many keys each, so that commands with several keys find them. */
export const BUSY_SLOTS = 128;
/** Keys of each kind in a busy slot. */
export const BUSY_ROWS = 8;
const BUSY_KEYS = BUSY_SLOTS * BUSY_ROWS;
/** Odd and far from a divisor of the number of slots: its multiples visit every slot once, each far from the one before. */
const STRIDE = 6151;

let tags: number[] | undefined;

/** The lowest number whose hash tag `{t<number>}` lies in the slot. */
export function slotTag(slot: number): number {
  tags ??= findTags();
  return tags[slot] ?? 0;
}

/** Where number 0 to 127 of the busy slots is. */
export function busySlot(place: number): number {
  return place * (SLOTS / BUSY_SLOTS) + ((place * 37) % (SLOTS / BUSY_SLOTS));
}

/**
 * The slot of key number `index` of any kind, if its name shall have a tag: the first 1024 keys go round the busy slots, the
 * others round all slots.
 */
export function placedSlot(index: number): number {
  return index < BUSY_KEYS ? busySlot(index % BUSY_SLOTS) : (index * STRIDE) % SLOTS;
}

/** The name of a key with the tag of its slot. */
export function placedKey(kind: KeyKind, index: number): string | Buffer {
  return keyName(kind, index, slotTag(placedSlot(index)));
}

/** A number from which on each run of 16 384 key numbers visits every slot once. */
export const firstWideIndex = BUSY_KEYS;

function findTags(): number[] {
  const found: number[] = [];
  for (let number = 0, missing = SLOTS; missing > 0; number++) {
    const slot = keySlot(`t${number}`);
    if (found[slot] !== undefined) continue;
    found[slot] = number;
    missing--;
  }
  return found;
}
