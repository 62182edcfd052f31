import { expect, test } from "vitest";
import { busiestWriter, holdersOf } from "./lane-holders.ts";

const lanes = (...instances: (string | null)[]) => instances.map((instance) => ({ instance }));

test("the busiest writer has most lanes; those of nobody don't count", () => {
  expect(busiestWriter(lanes("a", "b", "b", null, null, null))).toBe("b");
  expect(busiestWriter(lanes(null))).toBeNull();
});

test("holders with their numbers, or one without", () => {
  expect(holdersOf(lanes("b", "a", "b", null))).toBe("a (1), b (2), nobody (1)");
  expect(holdersOf(lanes("a", "a"))).toBe("a");
});
