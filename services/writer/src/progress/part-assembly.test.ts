import { BatchKind, type Batch } from "@sluice/wire";
import { expect, test } from "vitest";
import { PartAssembly } from "./part-assembly.ts";

function part(id: number, index: number, final: boolean): Batch {
  return {
    kind: BatchKind.changes,
    shard: "s0",
    epoch: 1,
    term: 1,
    previous: id,
    last: id,
    db: 0,
    replid: "r",
    rows: null,
    body: Buffer.from([index]),
    part: { id, index, final },
  };
}

test("unit-never-split: gives all parts at the final one, and none before", () => {
  const assembly = new PartAssembly();
  expect([assembly.add(part(5, 0, false)), assembly.add(part(5, 1, false))]).toEqual([null, null]);
  expect(assembly.add(part(5, 2, true))?.map(({ body }) => body[0])).toEqual([0, 1, 2]);
  expect(assembly.add(part(5, 2, true))).toBeNull();
  expect(assembly.add(part(9, 0, true))).toHaveLength(1);
});

test("unit-never-split: half a set is void once another begins, after a fence, and where one is missing", () => {
  const assembly = new PartAssembly();
  assembly.add(part(5, 0, false));
  assembly.add(part(5, 1, false));
  assembly.add(part(5, 0, false));
  expect(assembly.add(part(5, 1, true))).toHaveLength(2);
  assembly.add(part(6, 0, false));
  assembly.clear();
  expect(assembly.add(part(6, 1, true))).toBeNull();
  assembly.add(part(7, 0, false));
  expect(assembly.add(part(7, 2, true))).toBeNull();
  expect(assembly.add(part(7, 1, true))).toBeNull();
  assembly.add(part(8, 0, false));
  expect(assembly.add(part(9, 1, true))).toBeNull();
});

test("a batch without parts is none of its business", () => {
  expect(new PartAssembly().add({ ...part(1, 0, true), part: null })).toBeNull();
});
