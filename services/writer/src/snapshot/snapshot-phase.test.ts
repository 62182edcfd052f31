import { expect, test } from "vitest";
import { isSwept } from "./snapshot-phase.ts";

// Mutation seen to fail it: snapshot-phase.ts, `isSwept` without the floor: what the source deleted while slots went from one lane to another
// stays in the destination for ever.
test.each([
  ["the first copy that there is", "keep", { isFirst: true, floor: 0 }, true, false],
  ["the first copy of a lane that got slots", "keep", { isFirst: true, floor: 5 }, true, true],
  ["a lane that lost its mark", "keep", { isFirst: false, floor: 0 }, true, true],
  ["a later copy", "keep", { isFirst: true, floor: 0 }, false, true],
  ["a replacing pipeline's first copy", "replace", { isFirst: true, floor: 0 }, true, true],
  ["an overwriting pipeline's later copy", "overwrite", { isFirst: false, floor: 5 }, false, false],
] as const)("%s sweeps, or not: existing %s", (_name, existing, lane, isUnmarked, expected) => {
  expect(isSwept({ existing, ...lane }, isUnmarked)).toBe(expected);
});
