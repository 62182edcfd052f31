import { describe, expect, test } from "vitest";
import { listpackElements } from "./listpack.ts";
import { RdbError } from "./rdb-error.ts";

/** Encoded elements, each with the bytes that stand behind it, as a listpack. */
function listpackOf(elements: readonly Buffer[], count = elements.length): Buffer {
  const body = Buffer.concat(elements.flatMap((element) => [element, Buffer.alloc(backBytes(element.length), 1)]));
  const head = Buffer.alloc(6);
  head.writeUInt32LE(body.length + 7, 0);
  head.writeUInt16LE(count, 4);
  return Buffer.concat([head, body, Buffer.of(0xff)]);
}

function backBytes(size: number): number {
  return size <= 127 ? 1 : size < 16_383 ? 2 : size < 2_097_151 ? 3 : 4;
}

const long = (length: number): Buffer => {
  const head = Buffer.alloc(5, 0xf0);
  head.writeUInt32LE(length, 1);
  return Buffer.concat([head, Buffer.alloc(length, 120)]);
};

describe("listpackElements", () => {
  test.each<[string, Buffer]>([
    ["0", Buffer.of(0x00)],
    ["127", Buffer.of(0x7f)],
    ["4095", Buffer.of(0xcf, 0xff)],
    ["-1", Buffer.of(0xdf, 0xff)],
    ["-4096", Buffer.of(0xd0, 0x00)],
    ["-2", Buffer.of(0xf1, 0xfe, 0xff)],
    ["-8388608", Buffer.of(0xf2, 0, 0, 0x80)],
    ["2147483647", Buffer.of(0xf3, 0xff, 0xff, 0xff, 0x7f)],
    ["2840140800099", Buffer.of(0xf4, 0x63, 0x60, 0x95, 0x45, 0x95, 0x02, 0, 0)],
    ["", Buffer.of(0x80)],
    ["abc", Buffer.from([0x83, 97, 98, 99])],
    ["x".repeat(100), Buffer.concat([Buffer.of(0xe0, 100), Buffer.alloc(100, 120)])],
    ["x".repeat(20_000), long(20_000)],
    ["x".repeat(2_100_000), long(2_100_000)],
  ])("%.20s", (text, encoded) => {
    const found = listpackElements(listpackOf([Buffer.of(7), encoded, Buffer.of(0x81, 98)])).map(String);
    expect(found[1]).toHaveLength(text.length);
    expect(found).toEqual(["7", text, "b"]);
  });

  test("none, and more than its head can count", () => {
    expect(listpackElements(listpackOf([]))).toEqual([]);
    expect(listpackElements(listpackOf([Buffer.of(1), Buffer.of(2)], 0xffff)).map(String)).toEqual(["1", "2"]);
  });

  test("what does not add up is refused", () => {
    const whole = listpackOf([Buffer.of(1), Buffer.from([0x83, 97, 98, 99])]);
    for (let end = 0; end < whole.length; end++) expect(() => listpackElements(whole.subarray(0, end))).toThrow(RdbError);
    expect(() => listpackElements(listpackOf([Buffer.of(1)], 2))).toThrow("says 2 elements and has 1");
    expect(() => listpackElements(listpackOf([Buffer.of(0xf5)]))).toThrow("0xf5");
    expect(() => listpackElements(listpackOf([Buffer.of(0xff)]))).toThrow("goes on behind its end");
    expect(() => listpackElements(listpackOf([Buffer.of(0xbf)]))).toThrow(RdbError);
  });
});
