import { BatchKind, ChangeRows, type Batch } from "@sluice/wire";
import { expect, test } from "vitest";
import { PartAssembly } from "./part-assembly.ts";

/** A part of one byte; the first one has a row, of a command of as many bytes as `length` says. */
function part(id: number, index: number, final: boolean, length = 3): Batch {
  const rows = new ChangeRows(1);
  if (index === 0) rows.add(length, 1, 0, 0, 0, 0, 4);
  return {
    kind: BatchKind.changes,
    shard: "s0",
    epoch: 1,
    term: 1,
    previous: id,
    last: id,
    db: 0,
    replid: "r",
    rows,
    body: Buffer.from([index]),
    part: { id, index, final },
    besideCopy: false,
  };
}

const joined = (assembly: PartAssembly, batch: Batch): number[] | null => {
  const unit = assembly.add(batch);
  return unit === null ? null : [...unit.body];
};

test("unit-never-split: gives the unit at its final part, and nothing before", () => {
  const assembly = new PartAssembly();
  expect([joined(assembly, part(5, 0, false)), joined(assembly, part(5, 1, false))]).toEqual([null, null]);
  expect(joined(assembly, part(5, 2, true))).toEqual([0, 1, 2]);
  expect(joined(assembly, part(5, 2, true))).toBeNull();
  expect(joined(assembly, part(9, 0, true))).toEqual([0]);
});

test("unit-never-split: half a set is void once another begins, after a fence, and where one is missing", () => {
  const assembly = new PartAssembly();
  joined(assembly, part(5, 0, false));
  joined(assembly, part(5, 1, false));
  joined(assembly, part(5, 0, false));
  expect(joined(assembly, part(5, 1, true))).toEqual([0, 1]);
  joined(assembly, part(6, 0, false));
  assembly.clear();
  expect(joined(assembly, part(6, 1, true))).toBeNull();
  joined(assembly, part(7, 0, false));
  expect(joined(assembly, part(7, 2, true))).toBeNull();
  expect(joined(assembly, part(7, 1, true))).toBeNull();
  joined(assembly, part(8, 0, false));
  expect(joined(assembly, part(9, 1, true))).toBeNull();
});

// Mutation: part-assembly.ts, `known` is 0: the buffer that the unit ends in is not the one that it began in.
test("a command that is larger than a message is held once: its row says how much room it takes", () => {
  const assembly = new PartAssembly();
  const bytes = 64 * 1024;
  const rows = new ChangeRows(1);
  rows.add(3 * bytes, 3, 0, 0, 0, 0, 4);
  const body = Buffer.alloc(bytes, 1);
  const parts = [0, 1, 2].map((index) => ({
    ...part(5, index, index === 2),
    rows: index === 0 ? rows : new ChangeRows(0),
    body,
  }));
  const before = process.memoryUsage().arrayBuffers;
  const units = parts.map((one) => assembly.add(one));
  expect(units[2]?.body.length).toBe(3 * bytes);
  expect(units[2]?.body.buffer.byteLength).toBe(3 * bytes);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * bytes);
});

test("a batch without parts is none of its business", () => {
  expect(new PartAssembly().add({ ...part(1, 0, true), part: null })).toBeNull();
});
