import fc from "fast-check";
import { expect, test } from "vitest";
import { Crc64 } from "../crc64.ts";
import { dumpFooter, readDumpPayload, restorePayload } from "./dump-payload.ts";
import { RdbError } from "./rdb-error.ts";
import { byteOfType, isValkeyOwn } from "./index.ts";
import { RDB_FUNCTION, rdbTypeName, rdbVersionOfType, typeOfByte, VALKEY_HASH } from "./rdb-type.ts";

/** What Redis 7.0.15 answers to SET k hello, DUMP k. */
const recorded = Buffer.from("000568656c6c6f0a006372df766534200a", "hex");

function stamped(type: number, value: Buffer, version: number): Buffer {
  const body = Buffer.concat([Buffer.of(type), value, Buffer.of(version, 0), Buffer.alloc(8)]);
  new Crc64().update(body, 0, body.length - 8).writeTo(body, body.length - 8);
  return body;
}

test("a payload of a server is taken apart", () => {
  expect(readDumpPayload(recorded)).toEqual({ type: 0, value: Buffer.from("\u0005hello"), rdbVersion: 10 });
});

test("what is built is the value between type and footer, uncopied, stamped with the lowest version", () => {
  const parts = [Buffer.from("\u0005he"), Buffer.from("llo")];
  const payload = restorePayload(0, ...parts);
  expect(payload[1]).toBe(parts[0]);
  expect(payload[2]).toBe(parts[1]);
  expect(Buffer.concat(payload)).toEqual(stamped(0, Buffer.from("\u0005hello"), 6));
  expect(readDumpPayload(Buffer.concat(payload)).rdbVersion).toBe(6);
  const crc = new Crc64().update(Buffer.of(0)).update(parts[0]!).update(parts[1]!);
  expect(dumpFooter(0, crc)).toEqual(payload[3]);
});

test("the version of every type", () => {
  const versions: Record<number, number[]> = {
    6: [0, 1, 2, 3, 4, 9, 10, 11, 12, 13],
    7: [14],
    8: [5, 6, 7],
    9: [15],
    10: [16, 17, 18, 19, RDB_FUNCTION],
    11: [20, 21],
    12: [22, 23, 24, 25],
    13: [26],
    14: [27],
    80: [VALKEY_HASH],
  };
  for (const [version, types] of Object.entries(versions)) {
    for (const type of types) expect([type, rdbVersionOfType(type)]).toEqual([type, Number(version)]);
  }
  for (const type of [8, 28, 128, VALKEY_HASH + 1, 240, 255]) expect(() => rdbVersionOfType(type)).toThrow(RangeError);
  expect(rdbTypeName(18)).toBe("list quicklist of listpacks");
  expect(rdbTypeName(99)).toBe("type 99");
});

// Mutation: dump-payload.ts, the head of a payload is the type instead of its byte, or a payload's version is not asked for its type.
test("a type of Valkey's own travels under its byte and Valkey's version", () => {
  const value = Buffer.from([1, 1, 102, 1, 118, 255, 255, 255, 255, 255, 255, 255, 255]);
  const payload = Buffer.concat(restorePayload(VALKEY_HASH, value));
  expect([payload[0], payload.readUInt16LE(payload.length - 10)]).toEqual([22, 80]);
  expect(readDumpPayload(payload)).toEqual({ type: VALKEY_HASH, value, rdbVersion: 80 });
  expect(readDumpPayload(stamped(4, Buffer.of(0), 80)).type).toBe(4);
  expect([typeOfByte(22, false), typeOfByte(22, true), typeOfByte(21, true), typeOfByte(23, true)]).toEqual([
    22,
    VALKEY_HASH,
    21,
    23,
  ]);
  expect([22, VALKEY_HASH, RDB_FUNCTION, 250].map(byteOfType)).toEqual([22, 22, RDB_FUNCTION, 250]);
  expect([22, VALKEY_HASH, RDB_FUNCTION].map(isValkeyOwn)).toEqual([false, true, false]);
});

test.each([
  ["nothing", Buffer.alloc(0), /more than 10 bytes, this one 0/],
  ["only a footer", recorded.subarray(-10), /more than 10 bytes/],
  ["an unknown type", stamped(99, Buffer.from("\u0001a"), 10), /type 99 can't be read/],
  ["a module before 4.0", stamped(6, Buffer.from("\u0001a"), 10), /module before 4.0 can't be read/],
  ["a value that is cut off", stamped(0, Buffer.from("\u0006hello"), 10), /the string value is cut off/],
  ["more than the value", stamped(0, Buffer.from("\u0004hello"), 10), /ends before its payload does \(at byte 6\)/],
])("refused: %s", (_, payload, message) => {
  expect(() => readDumpPayload(payload)).toThrow(RdbError);
  expect(() => readDumpPayload(payload)).toThrow(message);
});

test("any change of a bit is refused", () => {
  fc.assert(
    fc.property(fc.nat(recorded.length * 8 - 1), (bit) => {
      const changed = Buffer.from(recorded);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => readDumpPayload(changed)).toThrow(/CRC64/);
    }),
  );
});
