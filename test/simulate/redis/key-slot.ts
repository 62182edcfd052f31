import { keySlot } from "@sluice/redis";

/** Keys are few and come again and again. */
const MOST_KNOWN = 100_000;
const known = new Map<string, number>();

/** Slot of a key that is given with one character for each byte. */
export function slotOfKey(key: string): number {
  let slot = known.get(key);
  if (slot === undefined) {
    if (known.size >= MOST_KNOWN) known.clear();
    slot = keySlot(Buffer.from(key, "latin1"));
    known.set(key, slot);
  }
  return slot;
}
