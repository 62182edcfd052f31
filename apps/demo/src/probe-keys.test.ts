import { keySlot } from "@sluice/testkit";
import { laneOf, SlotSet } from "@sluice/wire";
import { expect, test } from "vitest";
import { probeKeys } from "./probe-keys.ts";

test("a key for every lane of every shard, also where a lane is cut by the border of two shards", () => {
  const shards = ["0-5460", "5461-10922", "10923-16383"];
  const places = probeKeys(shards, 16).map((key) => {
    const slot = keySlot(key);
    return `${shards.findIndex((text) => SlotSet.parse(text).has(slot))}.${laneOf(slot, 16)}`;
  });
  const expected = [0, 1, 2, 3, 4, 5].map((lane) => `0.${lane}`);
  expected.push(...[5, 6, 7, 8, 9, 10].map((lane) => `1.${lane}`), ...[10, 11, 12, 13, 14, 15].map((lane) => `2.${lane}`));
  expect(places.toSorted()).toEqual(expected.toSorted());
});

test("a standalone server has one lane", () => expect(probeKeys(["0-16383"], 1)).toHaveLength(1));
