import { expect, test } from "vitest";
import { BatchKind, copyOffsetBody, copyOffsetOf, decodeBatch, encodeBatch } from "./batch.ts";
import { servedCopy, type GroupCopy } from "./group-copy.ts";

function copyOf(copy: number, groups: Readonly<Record<string, number>>, fields: Partial<GroupCopy> = {}): GroupCopy {
  const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
  return { epoch: 3, copy, groups, phase: "stored", offset: 10, replid: "r", copied, retry: null, ...fields };
}

const added = { number: 2, above: 0 };
const first = { epoch: 3, copy: 1, isStored: false };

// Mutation: group-copy.ts, `joined.epoch` not compared: a group is said to be in a copy that was made before it came, and misses all of it.
test("which copy of a shard serves a group", () => {
  expect(servedCopy({ epoch: 0 }, "b", undefined)).toBeNull();
  expect(servedCopy({ epoch: 3 }, "b", undefined)).toEqual(first);
  expect(servedCopy({ epoch: 3 }, "b", added)).toBeNull();
  expect(servedCopy({ epoch: 3, joined: { epoch: 3, number: 1 } }, "b", added)).toBeNull();
  expect(servedCopy({ epoch: 3, joined: { epoch: 3, number: 2 } }, "b", added)).toEqual(first);
  expect(servedCopy({ epoch: 3, joined: { epoch: 4, number: 2 } }, "b", added)).toBeNull();
  const copies = [copyOf(2, { b: 1 }), copyOf(3, { b: 2 }, { phase: "copying" }), copyOf(4, { c: 3 })];
  expect(servedCopy({ epoch: 3, copies }, "b", added)).toEqual({ epoch: 3, copy: 3, isStored: false });
  expect(servedCopy({ epoch: 3, copies }, "c", { number: 3, above: 0 })).toEqual({ epoch: 3, copy: 4, isStored: true });
  expect(servedCopy({ epoch: 4, copies }, "b", added)).toBeNull();
  for (const phase of ["waiting", "void"] as const)
    expect(servedCopy({ epoch: 3, copies: [copyOf(5, { b: 2 }, { phase })] }, "b", added)).toBeNull();
});

// Mutation: batch.ts, eight bytes in a heartbeat taken for an offset.
test("the end of a copy says for which offset it stands; no other batch does", () => {
  const batch = {
    shard: "s0",
    epoch: 3,
    term: 1,
    previous: 7,
    last: 7,
    db: 0,
    replid: "r",
    rows: null,
    part: null,
    besideCopy: false,
  };
  const body = copyOffsetBody(2 ** 40 + 1);
  const end = decodeBatch(encodeBatch({ ...batch, kind: BatchKind.snapshotEnd, body }));
  expect(copyOffsetOf(end)).toBe(2 ** 40 + 1);
  expect(copyOffsetOf(decodeBatch(encodeBatch({ ...batch, kind: BatchKind.snapshotEnd, body: Buffer.alloc(0) })))).toBeNull();
  expect(() => decodeBatch(encodeBatch({ ...batch, kind: BatchKind.heartbeat, body }))).toThrow("carries nothing");
  const tooLarge = Buffer.alloc(8, 0xff);
  expect(() => decodeBatch(encodeBatch({ ...batch, kind: BatchKind.snapshotEnd, body: tooLarge }))).toThrow(
    "expected a whole number",
  );
});
