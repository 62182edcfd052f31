import fc from "fast-check";
import { expect, test } from "vitest";
import { Crc64 } from "./crc64.ts";

function bitByBit(bytes: Uint8Array): string {
  const polynomial = 0x95ac9329ac4bc9b5n;
  let crc = 0n;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
  }
  return crc.toString(16).padStart(16, "0");
}

test("the check value of Redis crc64.c", () => {
  expect(new Crc64().update(Buffer.from("123456789")).toString()).toBe("e9c6d914c4b8d9ca");
  expect(new Crc64().toString()).toBe("0000000000000000");
});

test("any input, cut anywhere, gives what the bitwise definition gives", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
      const at = Math.min(cut, bytes.length);
      expect(new Crc64().update(bytes, 0, at).update(bytes, at).toString()).toBe(bitByBit(bytes));
    }),
  );
});

test("written bytes match themselves and nothing else", () => {
  const crc = new Crc64().update(Buffer.from("123456789"));
  const bytes = Buffer.alloc(10);
  crc.writeTo(bytes, 1);
  expect(bytes.toString("hex", 1, 9)).toBe("cad9b8c414d9c6e9");
  expect(crc.matches(bytes, 1)).toBe(true);
  for (let at = 1; at < 9; at++) {
    bytes[at]! ^= 0x80;
    expect(crc.matches(bytes, 1)).toBe(false);
    bytes[at]! ^= 0x80;
  }
});
