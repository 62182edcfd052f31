import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChangeRows, SnapshotRows, type SnapshotRow } from "./rows.ts";

const row = (length: number): SnapshotRow => ({
  expireAtMs: length * 2,
  length,
  keyLength: 1,
  access: 2,
  slot: 3,
  db: 4,
  type: 5,
  accessKind: 0,
});

function filled(lengths: readonly number[], capacity?: number): ChangeRows {
  const rows = new ChangeRows(capacity);
  for (const [at, length] of lengths.entries()) rows.add(length, at, at * 2, at % 16_384, at % 16, at % 16, 4);
  return rows;
}

const someLengths = fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 300 });

describe("ChangeRows", () => {
  test("unpacks what it packed, whatever the capacity was", () => {
    fc.assert(
      fc.property(someLengths, fc.nat(70), (lengths, capacity) => {
        const rows = filled(lengths, capacity);
        const read = ChangeRows.unpack(rows.pack());
        expect(read?.count).toBe(lengths.length);
        expect(read?.bodyBytes).toBe(lengths.reduce((sum, length) => sum + length, 0));
        expect([...(read?.lengths ?? [])]).toEqual(lengths);
        expect(read?.pack()).toEqual(rows.pack());
      }),
    );
  });

  test("18 bytes a row, in columns, little endian", () => {
    const rows = new ChangeRows();
    rows.add(0x01020304, 0x05060708, 0x090a0b0c, 0x0d0e, 0x0f10, 0x11, 0x12);
    rows.add(1, 2, 3, 4, 5, 6, 7);
    expect(rows.pack().toString("hex")).toBe("040302010100000008070605020000000c0b0a09030000000e0d0400100f050011061207");
    expect(rows.pack().length).toBe(2 * rows.rowBytes);
  });

  test("refuses every length that is no whole number of rows", () => {
    for (let length = 0; length < 60; length++) {
      expect(ChangeRows.unpack(Buffer.alloc(length)) === null).toBe(length % 18 !== 0);
    }
  });

  test("reads columns that stand at any place of a buffer", () => {
    const packed = filled([5, 6, 7]).pack();
    for (let at = 0; at < 8; at++) {
      const larger = Buffer.concat([Buffer.alloc(at), packed]);
      expect(ChangeRows.unpack(larger.subarray(at))?.pack()).toEqual(packed);
    }
  });

  test("copies rows one by one into another, from what was unpacked, too", () => {
    const from = ChangeRows.unpack(filled([1, 2, 3, 4, 5]).pack()) as ChangeRows;
    const to = new ChangeRows(0);
    for (let at = 0; at < from.count; at++) to.copyRow(from, at);
    expect(to.pack()).toEqual(from.pack());
    expect(to.bodyBytes).toBe(15);
  });

  test("what was unpacked empty still takes rows", () => {
    const rows = ChangeRows.unpack(Buffer.alloc(0)) as ChangeRows;
    rows.add(9, 1, 2, 3, 4, 5, 6);
    expect([rows.count, rows.lengths[0], rows.headers[0]]).toEqual([1, 9, 6]);
  });

  test("truncate forgets the last rows and their bytes, and never invents one", () => {
    fc.assert(
      fc.property(someLengths, fc.nat(400), (lengths, keep) => {
        const rows = filled(lengths);
        rows.truncate(keep);
        expect(rows.pack()).toEqual(filled(lengths.slice(0, keep)).pack());
        expect(rows.bodyBytes).toBe(lengths.slice(0, keep).reduce((sum, length) => sum + length, 0));
      }),
    );
  });

  test("starts anew after clear", () => {
    const rows = filled([1, 2, 3]);
    rows.clear();
    expect([rows.count, rows.bodyBytes, rows.pack().length]).toEqual([0, 0, 0]);
    rows.add(7, 1, 2, 3, 4, 5, 6);
    expect([rows.count, rows.bodyBytes]).toEqual([1, 7]);
  });
});

describe("SnapshotRows", () => {
  test("unpacks what it packed, whatever the capacity was", () => {
    fc.assert(
      fc.property(someLengths, fc.nat(70), (lengths, capacity) => {
        const rows = new SnapshotRows(capacity);
        for (const length of lengths) rows.add(row(length));
        const read = SnapshotRows.unpack(rows.pack());
        expect([...(read?.lengths ?? [])]).toEqual(lengths);
        expect([...(read?.expires ?? [])]).toEqual(lengths.map((length) => length * 2));
        expect(read?.bodyBytes).toBe(rows.bodyBytes);
        expect(read?.pack()).toEqual(rows.pack());
      }),
    );
  });

  test("refuses every length that is no whole number of rows", () => {
    for (let length = 0; length < 80; length++) {
      expect(SnapshotRows.unpack(Buffer.alloc(length)) === null).toBe(length % 26 !== 0);
    }
  });

  test("what was unpacked empty still takes rows, and clear forgets them", () => {
    const rows = SnapshotRows.unpack(Buffer.alloc(0)) as SnapshotRows;
    rows.add(row(8));
    expect([rows.count, rows.lengths[0], rows.expires[0], rows.bodyBytes]).toEqual([1, 8, 16, 8]);
    rows.clear();
    expect([rows.count, rows.bodyBytes]).toEqual([0, 0]);
  });
});
