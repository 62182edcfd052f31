import fc from "fast-check";
import { expect, test } from "vitest";
import { decompressLzf } from "./lzf.ts";
import { RdbError } from "./rdb-error.ts";

/** "abcabcabc…": a literal of three, then one reference that overlaps what it produces. */
const nearReference = Buffer.from([0x02, 0x61, 0x62, 0x63, 0x80, 0x02]);
const farReference = Buffer.from([0x00, 0x78, 0xe0, 0xff, 0x00]);

test("literals, near and far references, overlapping", () => {
  expect(decompressLzf(Buffer.from([0x02, 0x61, 0x62, 0x63]), 3).toString()).toBe("abc");
  expect(decompressLzf(nearReference, 9).toString()).toBe("abcabcabc");
  expect(decompressLzf(farReference, 265).toString()).toBe("x".repeat(265));
  expect(decompressLzf(Buffer.alloc(0), 0).length).toBe(0);
});

test("the longest distance", () => {
  const literals = Array.from({ length: 256 }, (_, block) => [
    0x1f,
    ...Array.from({ length: 32 }, (__, at) => (block + at) & 0xff),
  ]);
  const packed = Buffer.from([...literals.flat(), 0x3f, 0xff]);
  const plain = decompressLzf(packed, 8192 + 3);
  expect(plain.subarray(8192)).toEqual(plain.subarray(0, 3));
});

test.each([
  ["ends within a literal", [0x02, 0x61, 0x62], 3],
  ["ends within a near reference", [0x00, 0x61, 0x20], 4],
  ["ends within a far reference", [0x00, 0x61, 0xe0, 0x00], 10],
  ["refers to before the output", [0x00, 0x61, 0x20, 0x01], 4],
  ["gives more than declared, by a literal", [0x02, 0x61, 0x62, 0x63], 2],
  ["gives more than declared, by a reference", [...nearReference], 8],
  ["gives less than declared", [...nearReference], 10],
  ["declares more than possible", [0x00, 0x61], 2 ** 31],
])("refused: %s", (_, packed, plainBytes) => {
  expect(() => decompressLzf(Buffer.from(packed), plainBytes)).toThrow(RdbError);
});

test("any bytes: RdbError, or exactly the declared size", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(400), (packed, plainBytes) => {
      try {
        expect(decompressLzf(packed, plainBytes).length).toBe(plainBytes);
      } catch (error) {
        expect(error).toBeInstanceOf(RdbError);
      }
    }),
    { numRuns: 1000 },
  );
});
