import { expect, test } from "vitest";
import { RdbError } from "./rdb-error.ts";
import { rdbString } from "./rdb-string.ts";

function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(" ", ""), "hex");
}

test.each([
  ["empty", "00", ""],
  ["6-bit length", "03 616263", "abc"],
  ["14-bit length", "4003 616263", "abc"],
  ["32-bit length", "80 00000003 616263", "abc"],
  ["64-bit length", "81 0000000000000003 616263", "abc"],
  ["int8", "c0 80", "-128"],
  ["int16, little endian", "c1 0001", "256"],
  ["int32", "c2 ffffff7f", "2147483647"],
  ["negative int32", "c2 00000080", "-2147483648"],
  ["LZF", "c3 06 09 02616263 8002", "abcabcabc"],
])("%s", (_, bytes, text) => {
  expect(rdbString(hex(bytes)).toString()).toBe(text);
  expect(rdbString(Buffer.concat([hex("ffff"), hex(bytes), hex("ff")]), 2).toString()).toBe(text);
  for (let cut = 0; cut < hex(bytes).length; cut++) {
    expect(() => rdbString(hex(bytes).subarray(0, cut))).toThrow(/^the string is cut off/);
  }
});

test("a plain string is a view", () => {
  const bytes = hex("03 616263");
  const text = rdbString(bytes);
  bytes[1] = 0x7a;
  expect(text.toString()).toBe("zbc");
});

test.each([
  ["an unknown encoding", "c4 00", /expected a string, found 0xc4 \(at byte 0\)/],
  ["an unknown length form", "82 00000000", /expected a length, found 0x82/],
  ["an impossible length", "81 8000000000000000", /is not possible/],
  ["a length that only corruption has", "81 0000000200000000", /a string of 8589934592 bytes is not possible/],
  ["an impossible plain size", "c3 01 81 0000000200000000 00", /is not possible/],
  ["an encoded packed size", "c3 c0", /expected a length, found 0xc0/],
  ["an LZF reference to before the output, with its place", "c3 04 04 0061 2001", /before the output \(at byte 5\)/],
])("refused: %s", (_, bytes, message) => {
  expect(() => rdbString(hex(bytes))).toThrow(RdbError);
  expect(() => rdbString(hex(bytes))).toThrow(message);
});
