import { expect, test } from "vitest";
import { keySlot, parseSlots, slotRanges } from "./key-slot.ts";

test("slots of keys are those of the cluster specification", () => {
  expect(["123456789", "foo", "{foo}bar", "a{foo}{bar}", "{}foo", "a{b"].map((key) => keySlot(key))).toEqual([
    0x31c3,
    12_182,
    12_182,
    12_182,
    keySlot(Buffer.from("{}foo")),
    keySlot(Buffer.from("a{b")),
  ]);
  expect(keySlot("{}foo")).not.toBe(12_182);
});

test("ranges of slots are read and written", () => {
  expect(parseSlots("0-2,7,16383")).toEqual([0, 1, 2, 7, 16_383]);
  expect(slotRanges([7, 2, 1, 0, 16_383])).toEqual([
    [0, 2],
    [7, 7],
    [16_383, 16_383],
  ]);
  for (const text of ["", "a", "3-1", "16384", "1,"]) expect(() => parseSlots(text)).toThrow(RangeError);
});
