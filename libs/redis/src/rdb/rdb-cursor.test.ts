import { expect, test } from "vitest";
import { ENCODING, INCOMPLETE, RdbCursor } from "./rdb-cursor.ts";

function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(" ", ""), "hex");
}

test.each([
  ["00", 0],
  ["3f", 63],
  ["4040", 64],
  ["7fff", 16_383],
  ["80 ffffffff", 4_294_967_295],
  ["81 0000000100000002", 4_294_967_298],
  ["81 001fffffffffffff", Number.MAX_SAFE_INTEGER],
])("the length %s, and nothing of a part of it", (digits, length) => {
  const bytes = hex(digits);
  const cursor = new RdbCursor(bytes);
  expect([cursor.length(), cursor.pos]).toEqual([length, bytes.length]);
  const skipping = new RdbCursor(bytes);
  expect([skipping.skipLength(), skipping.pos]).toEqual([0, bytes.length]);
  for (let end = 0; end < bytes.length; end++) {
    const cut = new RdbCursor(bytes, 0, end);
    expect([cut.length(), cut.skipLength(), cut.pos]).toEqual([INCOMPLETE, INCOMPLETE, 0]);
  }
});

test("any 64-bit value can be passed over, but is no length", () => {
  const cursor = new RdbCursor(hex("81 ffffffffffffffff"));
  expect(() => cursor.length()).toThrow(/is not possible \(at byte 0\)/);
  expect([cursor.skipLength(), cursor.pos]).toEqual([0, 9]);
});

test.each([
  ["05", 5, ENCODING.raw],
  ["4105", 261, ENCODING.raw],
  ["80 00010000", 65_536, ENCODING.raw],
  ["c0", 1, ENCODING.int8],
  ["c1", 2, ENCODING.int16],
  ["c2", 4, ENCODING.int32],
  ["c3 05 4010", 5, ENCODING.lzf],
  ["c3 80 00000100 81 0000000000001000", 256, ENCODING.lzf],
])("the string header %s, and nothing of a part of it", (digits, count, encoding) => {
  const bytes = hex(digits);
  const cursor = new RdbCursor(bytes);
  expect([cursor.string(), cursor.encoding, cursor.pos]).toEqual([count, encoding, bytes.length]);
  for (let end = 0; end < bytes.length; end++) {
    const cut = new RdbCursor(bytes, 0, end);
    expect([cut.string(), cut.pos]).toEqual([INCOMPLETE, 0]);
  }
});
