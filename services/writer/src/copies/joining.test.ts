import type { Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { joiningOf } from "./joining.ts";

const mark = (epoch: number, copy: number, phase: "snap" | "live" = "live"): Position => ({
  epoch,
  copy,
  phase,
  shard: "s0",
  offset: 900,
  sequence: 5,
});
const own = { epoch: 3, copy: 4, isStored: true };
const first = { epoch: 3, copy: 1, isStored: false };

// Mutations: joining.ts, a live mark of the epoch taken for the lane's own whatever its copy (the group's former time: what was written since
// is missing); a later copy's mark overwritten (two additions of the group take turns).
test.each([
  ["no mark", null, own, "join"],
  ["a mark of an earlier epoch", mark(2, 9), own, "join"],
  ["a mark of this epoch, from when the group was in the pipeline before", mark(3, 1), own, "join"],
  ["an earlier copy of its own, half written", mark(3, 3, "snap"), own, "join"],
  ["its own copy, half written", mark(3, 4, "snap"), own, "join"],
  ["its own copy, written", mark(3, 4), own, "follow"],
  ["a later copy than any that is known", mark(3, 5, "snap"), own, "outdone"],
  ["a later copy, where the epoch's own serves it", mark(3, 2), first, "outdone"],
  ["a later epoch: the lane's place says what that means", mark(4, 1), own, "follow"],
  ["the copy that an epoch begins with, no mark", null, first, "follow"],
  ["the same, and a mark of the epoch before", mark(2, 7), first, "follow"],
  ["the same, and its own mark", mark(3, 1, "snap"), first, "follow"],
] as const)("%s", (_name, found, served, expected) => {
  expect(joiningOf(found, served)).toBe(expected);
});
