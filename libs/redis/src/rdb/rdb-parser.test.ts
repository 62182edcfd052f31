import { describe, expect, test } from "vitest";
import { Crc64 } from "../crc64.ts";
import { RdbError } from "./rdb-error.ts";
import { RdbReader } from "./rdb-reader.ts";
import type { RdbSink } from "./rdb-sink.ts";
import { rdbTypeName, VALKEY_HASH } from "./rdb-type.ts";

const nothing = (): void => {};
const silent: RdbSink = {
  aux: nothing,
  selectDb: nothing,
  resizeDb: nothing,
  functionLibrary: nothing,
  moduleAux: nothing,
  entry: nothing,
  entryStart: nothing,
  entryPart: nothing,
  entryEnd: nothing,
};

function rdb(version: string, records: string, checksum = "0000000000000000"): Buffer {
  return Buffer.concat([Buffer.from(version, "latin1"), Buffer.from((records + checksum).replaceAll(" ", ""), "hex")]);
}

/** Databases, modules and entries of an RDB that arrives in chunks of a size. */
function read(bytes: Buffer, chunkBytes: number): string[] {
  const lines: string[] = [];
  const reader = new RdbReader({
    ...silent,
    selectDb: (db) => lines.push(`select ${db}`),
    moduleAux: (name) => lines.push(`module ${name}`),
    entry: ({ db, key, type, expireAtMs, idleSeconds, freq, value }) => {
      lines.push([db, key.toString(), type, expireAtMs, idleSeconds, freq, value.toString("hex")].join(" "));
    },
  });
  for (let at = 0; at < bytes.length; at += chunkBytes) reader.push(bytes.subarray(at, at + chunkBytes));
  reader.finish();
  return lines;
}

describe("refused", () => {
  test.each([
    [
      "something else",
      Buffer.from("+FULLRESYNC"),
      /not an RDB: it begins with "\+FULLRESY", expected REDIS0001 to REDIS0013 or VALKEY080 to VALKEY081 \(at byte 0\)/,
    ],
    ["a newer Valkey", rdb("VALKEY082", "ff"), /RDB version 82 with the magic VALKEY is not supported/],
    ["versions between the forks", rdb("VALKEY079", "ff"), /RDB version 79 with the magic VALKEY is not supported/],
    ["version 0", rdb("REDIS0000", "ff"), /RDB version 0 with the magic REDIS is not supported/],
    ["a newer version", rdb("REDIS0014", "ff"), /RDB version 14 with the magic REDIS is not supported/],
    ["no version", rdb("REDISx012", "ff"), /not an RDB/],
    ["an unknown opcode", rdb("VALKEY080", "fe00 f1"), /unknown opcode \(0xf1\) .*\(at byte 11\)/],
    ["a change during the save", rdb("VALKEY081", "f2"), /a change made during the save \(0xf2\) can't be read/],
    ["a template of hashes", rdb("REDIS0013", "f2"), /a template of hashes \(Redis 8.10\) \(0xf2\) can't be read/],
    ["protection from eviction", rdb("REDIS0013", "f1"), /protection from eviction .* \(0xf1\) can't be read/],
    ["functions of a release candidate", rdb("REDIS0010", "f6"), /7.0 release candidate \(0xf6\)/],
    [
      "an unknown type",
      rdb("REDIS0012", "fe02 1c 03616263"),
      /value type 28 can't be read.*\(type 28\) of key "abc" in database 2 \(at byte 11\)/,
    ],
    [
      "a type that only Redis has",
      rdb("VALKEY080", "fe02 18 03616263"),
      /value type 24 can't be read.*\(hash with field expiries\) of key "abc" in database 2 \(at byte 11\)/,
    ],
    [
      "a type of a later version",
      rdb("REDIS0013", "1b 03616263"),
      /value type 27 is of a later .*\(stream with released entries\) of key "abc" in database 0 \(at byte 9\)/,
    ],
    [
      "metadata of a module",
      rdb("REDIS0013", "fe01 f3 01 aabbccdd 01 05 00 00 03616263 0161"),
      /metadata of a module .* \(string\) of key "abc" in database 1 \(at byte 11\)/,
    ],
    [
      "a module of before 4.0",
      rdb("REDIS0008", "06 03616263"),
      /value type 6 .*\(module before 4.0\) of key "abc" in database 0/,
    ],
    [
      "corruption in a value",
      rdb("REDIS0009", "04 03616263 01 0161 c9"),
      /found 0xc9, in the value \(hash\) of key "abc" .*\(at byte 17\)/,
    ],
    ["a key of 2^63 bytes", rdb("REDIS0009", "00 818000000000000000"), /is not possible/],
    ["a key too long to hold", rdb("REDIS0009", "00 8000000400"), /a key of 1024 bytes is longer than 1000/],
    ["a key that unpacks too long", rdb("REDIS0009", "00 c3 05 8000000400"), /a key of 1024 bytes is longer than 1000/],
    ["a key that can't unpack", rdb("REDIS0009", "00 c3 02 03 2001 00"), /before the output \(at byte 13\)/],
    ["an aux field too long to hold", rdb("REDIS0009", "fa 0161 8000000400"), /an? aux field of 1024 bytes/],
    ["a library too long to hold", rdb("REDIS0010", "f5 8000000400"), /a function library of 1024 bytes/],
    ["a database that can't be", rdb("REDIS0009", "fe 8080000000"), /database number of 2147483648/],
    [
      "a wrong checksum",
      rdb("REDIS0009", "ff", "0100000000000000"),
      /CRC64 of the RDB is 0000000000000001, but .*\(at byte 10\)/,
    ],
  ])("%s", (_, bytes, message) => {
    const reader = new RdbReader(silent, { maxBufferedBytes: 1000 });
    expect(() => reader.push(bytes)).toThrow(RdbError);
    expect(() => reader.push(bytes)).toThrow(message);
    expect(() => reader.finish()).toThrow(message);
    expect(reader.done).toBe(false);
  });

  test("what a sink throws ends the reading", () => {
    const fail = (): never => {
      throw new Error("full");
    };
    const reader = new RdbReader({ ...silent, selectDb: fail });
    expect(() => reader.push(rdb("REDIS0009", "fe00 ff"))).toThrow("full");
    expect(() => reader.push(Buffer.alloc(0))).toThrow("full");
  });

  test("parts of no bytes", () => {
    for (const partBytes of [0, -1, 1.5, NaN]) expect(() => new RdbReader(silent, { partBytes })).toThrow(RangeError);
  });
});

describe("records", () => {
  test.each([
    ["expiry in seconds", "fd 80510100 00 0161 0162 00 0163 0164", ["0 a 0 86400000 -1 -1 0162", "0 c 0 -1 -1 -1 0164"]],
    ["expiry in ms, before 1970", "fc feffffffffffffff 00 0161 0162", ["0 a 0 -2 -1 -1 0162"]],
    ["expiry beyond 2^53", "fc ffffffffffffff7f 00 0161 0162", [`0 a 0 ${Number.MAX_SAFE_INTEGER} -1 -1 0162`]],
    ["attributes", "fc 0100000000000000 f8 05 f9 ff 00 0161 0162", ["0 a 0 1 5 255 0162"]],
    [
      "integer and LZF keys",
      "00 c0ff 0162 00 c306090261626380 02 0162",
      ["0 -1 0 -1 -1 -1 0162", "0 abcabcabc 0 -1 -1 -1 0162"],
    ],
    ["an empty key", "00 00 00", ["0  0 -1 -1 -1 00"]],
    ["slot info", "f4 7fff 01 02 00 0161 0162", ["0 a 0 -1 -1 -1 0162"]],
    ["what a module saved", "f7 812081c0718405c801 02 01 05 0161 00 fe01", ["module IIHAcYQFy", "select 1"]],
  ])("%s", (_, records, lines) => {
    const bytes = rdb("REDIS0012", `${records} ff`);
    expect(read(bytes, bytes.length)).toEqual(lines);
    expect(read(bytes, 1)).toEqual(lines);
  });

  test("Valkey numbers its own: a hash with field expiries, slots that are being imported", () => {
    const hash = "16 0161 01 0166 0176 ffffffffffffffff";
    const bytes = rdb("VALKEY080", `f4 05 01 00 f3 036a6f62 02 00 05 4100 4110 ${hash} ff`);
    for (const chunkBytes of [bytes.length, 1]) {
      expect(read(bytes, chunkBytes)).toEqual([`0 a ${VALKEY_HASH} -1 -1 -1 0101660176ffffffffffffffff`]);
    }
    expect(rdbTypeName(VALKEY_HASH)).toBe("hash with field expiries of Valkey");
  });

  // Mutation: rdb-parser.ts, #known leaves `hasMetadata` as it was, or #value delivers what is skipped.
  test("what can be passed over is, where that is wanted, and said", () => {
    const stream = "00 00 00 00 00 00 00 00 00 01 0167 00 00 00 00 00 02".concat("00".repeat(32), "00 00 00 00 00");
    const metadata = "f3 02 aabbccdd 01 05 05 0161 00 aabbccdd 00";
    const bytes = rdb("REDIS0013", `1b 0161 ${stream} ${metadata} fd 01000000 00 0162 0163 00 0164 0165 ff`);
    for (const chunkBytes of [bytes.length, 1]) {
      const lines: string[] = [];
      const reader = new RdbReader(
        {
          ...silent,
          skipped: ({ key, type }) => lines.push(`skipped ${key.toString()} ${type}`),
          entry: ({ key, hasMetadata, expireAtMs }) => lines.push(`${key.toString()} ${hasMetadata} ${expireAtMs}`),
        },
        { unknown: "skip" },
      );
      for (let at = 0; at < bytes.length; at += chunkBytes) reader.push(bytes.subarray(at, at + chunkBytes));
      reader.finish();
      expect(lines).toEqual(["skipped a 27", "b true 1000", "d false -1"]);
    }
  });

  test("before RDB 5 there is no checksum", () => {
    const reader = new RdbReader(silent);
    expect(reader.push(rdb("REDIS0004", "ff"))).toBe(10);
    expect([reader.done, reader.checksum, reader.version, reader.offset]).toEqual([true, "absent", 4, 10]);
  });
});

describe("memory", () => {
  const MB = 1024 * 1024;

  test("a value of 256 MB passes in parts without being held", () => {
    let passed = 0;
    const entryPart = (bytes: Buffer): void => {
      passed += bytes.length;
    };
    const reader = new RdbReader({ ...silent, entryPart }, { partBytes: MB / 2 });
    reader.push(Buffer.concat([Buffer.from("REDIS0010"), Buffer.from("0001628010000000", "hex")]));
    const chunk = Buffer.alloc(MB / 16);
    const before = process.memoryUsage().arrayBuffers;
    for (let sent = 0; sent < 256 * MB; sent += chunk.length) reader.push(chunk);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MB);
    expect(reader.push(Buffer.from("ff0000000000000000", "hex"))).toBe(9);
    expect([reader.done, passed]).toEqual([true, 256 * MB + 5]);
  });

  test("declared sizes cost nothing", () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const records of [
      "00 0161 80ffffffff 00",
      "00 83",
      "04 0161 81001fffffffffffff 0161",
      "05 0161 80ffffffff",
      "fa 8003ffffff",
    ]) {
      const reader = new RdbReader(silent);
      try {
        reader.push(rdb("REDIS0010", records, ""));
      } catch (error) {
        expect(error).toBeInstanceOf(RdbError);
      }
      expect(() => reader.finish()).toThrow(RdbError);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MB);
  });

  test("a wrong checksum that only the last byte shows", () => {
    const body = rdb("REDIS0009", "00 0161 0162 ff", "");
    const checksum = Buffer.alloc(8);
    new Crc64().update(body).writeTo(checksum, 0);
    expect(read(Buffer.concat([body, checksum]), 100)).toHaveLength(1);
    checksum[7]! ^= 1;
    expect(() => read(Buffer.concat([body, checksum]), 100)).toThrow(/CRC64/);
  });
});
