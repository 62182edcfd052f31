import { expect, test } from "vitest";
import { movesBetween } from "./moves.ts";

test("each move says where from, where to and why", () => {
  const before = new Map([
    ["a", "w1"],
    ["b", "w2"],
    ["c", "w3"],
    ["d", "w1"],
    ["e", "w1"],
  ]);
  const after = new Map([
    ["a", "w1"],
    ["b", "w1"],
    ["c", "w1"],
    ["d", "w4"],
    ["f", "w4"],
  ]);
  const moves = movesBetween(before, after, {
    isWanted: (work) => work !== "e",
    isLive: (instance) => instance === "w1" || instance === "w4",
    silentMs: (instance) => (instance === "w2" ? 4_321.9 : null),
  });
  expect(moves).toEqual([
    { work: "b", from: "w2", to: "w1", why: "the instance was not heard for 4322 ms" },
    { work: "c", from: "w3", to: "w1", why: "the instance is gone" },
    { work: "d", from: "w1", to: "w4", why: "balance" },
    { work: "e", from: "w1", to: null, why: "no longer wanted" },
    { work: "f", from: null, to: "w4", why: "had nobody" },
  ]);
});
