import { expect, test } from "vitest";
import { isSameCheckpoint } from "./checkpoint.ts";

test("checkpoints are the same when they resume at the same place, whenever and in whatever order they were written", () => {
  const shards = { s0: { replid: "r", offset: 1, db: 0, epoch: 1 } };
  const a = { sequence: 1, offset: 2, epoch: 1 };
  const b = { sequence: 9, offset: 9, epoch: 1 };
  expect(
    isSameCheckpoint(
      { shards, lanes: { a, b }, at: 1 },
      { shards, lanes: { b, a: { epoch: 1, offset: 2, sequence: 1 } }, at: 2 },
    ),
  ).toBe(true);
  expect(isSameCheckpoint({ shards, lanes: { a }, at: 1 }, { shards, lanes: { a: b }, at: 1 })).toBe(false);
  expect(isSameCheckpoint({ shards, lanes: { a }, at: 1 }, { shards, lanes: {}, at: 1 })).toBe(false);
});
