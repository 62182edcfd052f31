import { expect, test } from "vitest";
import { storedOffset } from "./stored-offset.ts";

test("stored-before-ack: no more than the lowest begin of an unstored unit, and no more than was read", () => {
  const lane = (unstoredFrom: number): { unstoredFrom: number } => ({ unstoredFrom });
  expect(storedOffset([], 70)).toBe(70);
  expect(storedOffset([lane(Infinity), lane(Infinity)], 70)).toBe(70);
  expect(storedOffset([lane(Infinity), lane(40), lane(55)], 70)).toBe(40);
  expect(storedOffset([lane(90)], 70)).toBe(70);
});
