import { expect, test } from "vitest";
import { keySlot, SLOTS } from "../servers/key-slot.ts";
import { busySlot, BUSY_SLOTS, firstWideIndex, placedKey, placedSlot, slotTag } from "./slot-places.ts";

test("each slot has a tag of its own that lies in it", () => {
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
  expect(slots.filter((slot) => keySlot(`{t${slotTag(slot)}}x`) !== slot)).toEqual([]);
});

test("the busy slots are spread evenly, and the other keys go round all slots", () => {
  const busy = Array.from({ length: BUSY_SLOTS }, (_, place) => busySlot(place));
  expect(busy.map((slot) => Math.floor(slot / (SLOTS / BUSY_SLOTS)))).toEqual([...busy.keys()]);
  const wide = Array.from({ length: SLOTS }, (_, index) => placedSlot(firstWideIndex + index));
  expect(new Set(wide).size).toBe(SLOTS);
  for (const index of [0, 127, 128, 1023, 1024, 5000, 40_000]) {
    expect(keySlot(placedKey("list", index))).toBe(placedSlot(index));
    expect(keySlot(placedKey("hash", index))).toBe(placedSlot(index));
  }
  expect(placedSlot(1024 + SLOTS)).toBe(placedSlot(1024));
});
