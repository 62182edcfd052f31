import { rdbFixtures } from "@sluice/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readDumpPayload, restorePayload } from "./dump-payload.ts";
import { hasFieldExpiries, PLAIN_HASH, readFieldExpiries, shiftedFieldExpiries, type FieldExpiries } from "./field-expiries.ts";
import { RdbCursor } from "./rdb-cursor.ts";
import type { RdbEntry } from "./rdb-entry.ts";
import { RdbError } from "./rdb-error.ts";
import { RdbReader } from "./rdb-reader.ts";
import { readString } from "./rdb-string.ts";
import { REDIS_TYPES, VALKEY_HASH } from "./rdb-type.ts";

const fixtures = rdbFixtures();
type Field = readonly [field: string, value: string, expireAtMs: number | null];

/** What a server answered of its hashes, by database and key. */
function answered(name: string): Record<string, Field[]> {
  const { keys } = fixtures.find((fixture) => fixture.name === name)!.expected;
  return Object.fromEntries(
    keys.flatMap((key) => {
      if (key.type !== "hash") return [];
      return [[`${key.db} ${key.key}`, key.value.map(([field, value, at]): Field => [field, value, at ?? null])]];
    }),
  );
}
const expected = answered("redis-7.4.1/dump.rdb");

/** The values with field expiries in the fixture, by database and key. */
function fixtureValues(name: string): Map<string, { type: number; value: Buffer }> {
  const found = new Map<string, { type: number; value: Buffer }>();
  const ignore = (): void => undefined;
  const reader = new RdbReader({
    aux: ignore,
    selectDb: ignore,
    resizeDb: ignore,
    functionLibrary: ignore,
    moduleAux: ignore,
    entryStart: ignore,
    entryPart: ignore,
    entryEnd: ignore,
    entry: ({ db, type, key, value }: RdbEntry) => {
      if (hasFieldExpiries(type)) found.set(`${db} ${key.toString("base64")}`, { type, value: Buffer.from(value) });
    },
  });
  reader.push(fixtures.find((fixture) => fixture.name === name)!.bytes);
  return found;
}

/** Fields with values and expiries, sorted by field. */
function fieldsOf({ plain, fieldsAt }: FieldExpiries): Field[] {
  const expiries = new Map(
    [...fieldsAt].flatMap(([at, fields]) => fields.map((field) => [field.toString("base64"), at] as const)),
  );
  const cursor = new RdbCursor(Buffer.concat(plain));
  const count = cursor.length();
  const fields = Array.from({ length: count }, (): Field => {
    const [field, value] = [readString(cursor), readString(cursor)].map((text) => (text as Buffer).toString("base64"));
    return [field as string, value as string, expiries.get(field as string) ?? null];
  });
  expect(cursor.pos).toBe(cursor.end);
  return fields.toSorted(([one], [two]) => (one < two ? -1 : 1));
}

const values = fixtureValues("redis-7.4.1/dump.rdb");

describe("what Redis 7.4.1 wrote", () => {
  test("has both encodings, and no more hashes than the server said", () => {
    expect(new Set([...values.values()].map(({ type }) => type))).toEqual(new Set([24, 25]));
    const expiring = Object.keys(expected).filter((key) => expected[key]!.some(([, , at]) => at !== null));
    expect(expiring.length).toBeGreaterThan(4);
    for (const key of expiring) expect(values.has(key)).toBe(true);
  });

  test.each([...values])("%s is read as the server answered", (key, { type, value }) => {
    expect(fieldsOf(readFieldExpiries(type, value))).toEqual(expected[key]!.toSorted(([one], [two]) => (one < two ? -1 : 1)));
  });

  test.each([...values])("%s in the form of the release candidates", (key, { type, value }) => {
    const preGa = type === 25 ? value.subarray(8) : absoluteTable(value);
    expect(fieldsOf(readFieldExpiries(type - 2, preGa))).toEqual(fieldsOf(readFieldExpiries(type, value)));
    expect(expected[key]).toBeDefined();
  });

  test("cut off anywhere it is refused, with the place", () => {
    for (const { type, value } of values.values()) {
      for (let end = 0; end < value.length; end += value.length > 1_000 ? 37 : 1) {
        expect(() => readFieldExpiries(type, value.subarray(0, end))).toThrow(RdbError);
      }
      expect(() => readFieldExpiries(type, Buffer.concat([value, Buffer.of(0)]))).toThrow(RdbError);
    }
  });

  test("with bytes changed it is read or refused, and nothing else", () => {
    const small = [...values.values()].filter(({ value }) => value.length < 1_000);
    fc.assert(
      fc.property(fc.constantFrom(...small), fc.nat(), fc.integer({ min: 1, max: 255 }), ({ type, value }, at, flip) => {
        const changed = Buffer.from(value);
        changed[at % changed.length]! ^= flip;
        try {
          readFieldExpiries(type, changed);
        } catch (cause) {
          expect(cause).toBeInstanceOf(RdbError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

// Mutation: field-expiries.ts, ofValkey takes -1 for a time; tableOf writes Valkey's form with the lowest expiry in front.
describe("what Valkey 9.1.2 wrote", () => {
  const answers = answered("valkey-9.1.2/dump.rdb");
  const ofValkey = fixtureValues("valkey-9.1.2/dump.rdb");

  test.each([...ofValkey])("%s is read as the server answered, and shifted in its own form", (key, { type, value }) => {
    const before = fieldsOf(readFieldExpiries(type, value));
    expect([type, before]).toEqual([VALKEY_HASH, answers[key]!.toSorted(([one], [two]) => (one < two ? -1 : 1))]);
    const payload = Buffer.concat(restorePayload(type, value));
    expect(shiftedFieldExpiries(payload, (ms) => ms)?.equals(payload)).toBe(true);
    const after = readDumpPayload(shiftedFieldExpiries(payload, (ms) => ms + 1_001) as Buffer);
    expect([after.type, after.rdbVersion]).toEqual([VALKEY_HASH, 80]);
    const moved = before.map(([field, held, at]): Field => [field, held, at === null ? null : at + 1_001]);
    expect(fieldsOf(readFieldExpiries(after.type, after.value))).toEqual(moved);
    for (let end = 0; end < value.length; end += value.length > 1_000 ? 37 : 1) {
      expect(() => readFieldExpiries(type, value.subarray(0, end))).toThrow(RdbError);
    }
  });

  test("there are some", () => expect(ofValkey.size).toBeGreaterThan(4));
});

/** A table of 7.4.0 as the release candidates wrote it: each expiry in full, none as 0. */
function absoluteTable(value: Buffer): Buffer {
  const minimumMs = Number(value.readBigUInt64LE(0));
  const cursor = new RdbCursor(value, 8);
  const count = cursor.length();
  const parts = [value.subarray(8, cursor.pos)];
  for (let index = 0; index < count; index++) {
    const ttl = cursor.length();
    const from = cursor.pos;
    readString(cursor);
    readString(cursor);
    const expiry = Buffer.alloc(9, 0x81);
    expiry.writeBigUInt64BE(BigInt(ttl === 0 ? 0 : minimumMs + ttl - 1), 1);
    parts.push(expiry, value.subarray(from, cursor.pos));
  }
  return Buffer.concat(parts);
}

test("exactly the hashes with field expiries are told by their type", () => {
  const named = REDIS_TYPES.flatMap((type, number) => (type?.name.includes("field expiries") ? [number] : []));
  expect(named).toEqual([22, 23, 24, 25]);
  expect([hasFieldExpiries(VALKEY_HASH), hasFieldExpiries(VALKEY_HASH + 1)]).toEqual([true, false]);
  expect(REDIS_TYPES.flatMap((_, number) => (hasFieldExpiries(number) ? [number] : []))).toEqual(named);
  expect(REDIS_TYPES[PLAIN_HASH]?.name).toBe("hash");
  expect(() => readFieldExpiries(PLAIN_HASH, Buffer.of(0))).toThrow(RangeError);
});

describe("shiftedFieldExpiries", () => {
  const payloadOf = (type: number, value: Buffer): Buffer => Buffer.concat(restorePayload(type, value));

  test.each([...values])("%s: each expiry is shifted, and nothing else", (_, { type, value }) => {
    const before = fieldsOf(readFieldExpiries(type, value));
    const shifted = shiftedFieldExpiries(payloadOf(type, value), (ms) => ms + 1_001);
    if (before.every(([, , at]) => at === null)) {
      expect(shifted).toBeNull();
      return;
    }
    const after = readDumpPayload(shifted as Buffer);
    expect([after.type, after.rdbVersion]).toEqual([24, 12]);
    const moved = before.map(([field, held, at]): Field => [field, held, at === null ? null : at + 1_001]);
    expect(fieldsOf(readFieldExpiries(after.type, after.value))).toEqual(moved);
  });

  test("a table is written byte by byte as Redis 7.4.1 wrote it", () => {
    const tables = [...values.values()].filter(({ type }) => type === 24);
    expect(tables.length).toBeGreaterThan(0);
    for (const { type, value } of tables) {
      const payload = payloadOf(type, value);
      expect(shiftedFieldExpiries(payload, (ms) => ms)?.equals(payload)).toBe(true);
    }
  });

  // Mutation: field-expiries.ts, the lowest expiry by `Math.min` of all at once: more arguments than a call takes.
  test("a hash of 150 000 fields, each with an expiry of its own", () => {
    const count = 150_000;
    const minimum = Buffer.alloc(8);
    minimum.writeBigUInt64LE(1_000n, 0);
    const long = (length: number): Buffer => Buffer.from([0x80, length >>> 24, length >>> 16, length >>> 8, length]);
    const parts = [minimum, long(count)];
    for (let index = 0; index < count; index++) {
      const field = Buffer.from(String(index));
      parts.push(long(index + 1), Buffer.of(field.length), field, Buffer.of(1, 0x76));
    }
    const value = Buffer.concat(parts);
    const after = readDumpPayload(shiftedFieldExpiries(payloadOf(24, value), (ms) => ms + 5) as Buffer);
    const times = [...readFieldExpiries(after.type, after.value).fieldsAt.keys()];
    expect([times.length, times[0], times.at(-1), times.every((at, index) => at === 1_005 + index)]).toEqual([
      count,
      1_005,
      1_004 + count,
      true,
    ]);
  });

  test("what is no payload, or has no such expiries, is left alone", () => {
    const { type, value } = [...values.values()][0]!;
    const payload = payloadOf(type, value);
    payload[20]! ^= 1;
    for (const other of [payload, payload.subarray(0, 30), payloadOf(PLAIN_HASH, Buffer.of(0)), Buffer.alloc(0)]) {
      expect(shiftedFieldExpiries(other, (ms) => ms + 1)).toBeNull();
    }
  });
});
