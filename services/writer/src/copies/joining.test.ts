import type { Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { isStanding, isUnderWay, joiningOf } from "./joining.ts";

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

const added = { number: 7, above: 2 };
const joined = { epoch: 3, number: 7 };

// Mutations seen to fail it, in joining.ts: `isUnderWay` without `above` (a group that came again goes on from its former time); without `refused`
// (a lane that can't go on never joins the copy that was made for it); without `joined` (one lane's refusal throws every other lane back).
test.each([
  ["a copy of its own, and a later one serves the group", { epoch: 3, copy: 4 }, null, null, true],
  ["one that it refused itself", { epoch: 3, copy: 4 }, null, { epoch: 3, copy: 4 }, false],
  ["one above what it refused", { epoch: 3, copy: 5 }, null, { epoch: 3, copy: 4 }, true],
  ["one above what it refused in another epoch", { epoch: 3, copy: 4 }, null, { epoch: 2, copy: 9 }, true],
  ["an earlier epoch's", { epoch: 2, copy: 4 }, null, null, false],
  ["one from when the group was in the pipeline before", { epoch: 3, copy: 2 }, null, null, false],
  ["the epoch's first, which came before the group", { epoch: 3, copy: 1 }, { epoch: 3, number: 6 }, null, false],
  ["the epoch's first, which the group was there for", { epoch: 3, copy: 1 }, joined, null, true],
  ["the same, refused by itself", { epoch: 3, copy: 1 }, joined, { epoch: 3, copy: 1 }, false],
] as const)("a lane that was live goes on by %s: %j", (_name, stood, begun, refused, expected) => {
  const shard = { epoch: 3, copies: [], ...(begun === null ? {} : { joined: begun }) };
  expect(isUnderWay(stood, shard, added, refused)).toBe(expected);
});

// Mutation seen to fail it: joining.ts, `isStanding` without the phase.
test("a record counts for what the destination says, too", () => {
  expect(isStanding(mark(3, 4), own)).toBe(true);
  for (const other of [null, mark(3, 4, "snap"), mark(3, 3), mark(3, 5), mark(2, 4)])
    expect(isStanding(other, own)).toBe(false);
});
