import { expect, test } from "vitest";
import { RdbCursor } from "./rdb-cursor.ts";
import { RdbError } from "./rdb-error.ts";
import { rdbTypeName, rdbTypeOf, VALKEY_HASH } from "./rdb-type.ts";
import { ValueExtent } from "./value-extent.ts";

function hex(...digits: string[]): Buffer {
  return Buffer.from(digits.join("").replaceAll(" ", ""), "hex");
}

const text = "03 616263";
const long = `80 0000012c ${"6c".repeat(300)}`;
const lzf = "c3 06 09 02616263 8002";
const number = "c1 3930";
const id = "00".repeat(15) + "07";
const time = "0102030405060708";
const most = "81 ffffffffffffffff";
const pending = `02 ${id} ${time} 01 ${id} ${time} ${most}`;
const owned = `02 ${id} ${id}`;
const nodes = `02 10 ${id} ${long} 10 ${id} ${lzf}`;
const producers = `4064 4064 02 ${text} 02 ${text} ${most} 00 ${lzf} 01 02 ${number} 00 05 ${most}`;
const counters = `00 01 ${most} ${most} 05`;

const streamValues: [number, string, string][] = [
  [15, "without groups", `${nodes} 05 ${most} 00 00`],
  [15, "empty", "00 00 00 00 00"],
  [
    15,
    "with groups",
    `${nodes} 05 ${most} 00 02 ${text} 01 02 ${pending} 02 ${text} ${time} ${owned} ${text} ${time} 00 ${text} 00 00 00 00`,
  ],
  [19, "with groups", `${nodes} 05 ${most} 00 ${counters} 01 ${text} 01 02 ${most} ${pending} 01 ${text} ${time} ${owned}`],
  [
    21,
    "with groups",
    `${nodes} 05 ${most} 00 ${counters} 01 ${text} 01 02 ${most} ${pending} 01 ${text} ${time} ${time} ${owned}`,
  ],
  [
    26,
    "with groups and producers",
    `${nodes} 05 ${most} 00 ${counters} 01 ${text} 01 02 ${most} ${pending} 01 ${text} ${time} ${time} ${owned} ${producers}`,
  ],
  [
    27,
    "with released entries",
    `${nodes} 05 ${most} 00 ${counters} 01 ${text} 01 02 ${most} ${pending} 00 ${owned} 05 05 00 ${most} 00`,
  ],
];

/** Type, what is special about it, and a whole value. */
const values: [number, string, string][] = [
  [0, "plain", text],
  [0, "long", long],
  [0, "number", number],
  [0, "LZF", lzf],
  [0, "empty", "00"],
  [1, "of several encodings", `04 ${text} ${number} ${lzf} ${long}`],
  [1, "of none", "00"],
  [2, "with a 64-bit count", `81 0000000000000002 ${text} ${number}`],
  [3, "with text, nan and infinities", `04 ${text} 04 312e3530 ${text} fd ${text} fe ${text} ff`],
  [4, "of two", `02 ${text} ${number} ${lzf} ${long}`],
  [5, "of two", `02 ${text} ${time} ${number} ${time}`],
  [7, "of every code", `81 ${time} 01 ${most} 02 05 03 00000000 04 ${time} 05 ${text} 05 ${long} 05 ${lzf} 00`],
  [7, "of nothing", `81 ${time} 00`],
  ...[9, 10, 11, 12, 13, 16, 17, 20, 23].map((type): [number, string, string] => [type, "blob", lzf]),
  [14, "of two nodes", `02 ${long} ${lzf}`],
  [18, "plain and packed", `02 01 ${long} 02 ${lzf}`],
  ...streamValues,
  [22, "two fields", `02 81 ${time} ${text} ${long} 00 ${text} ${number}`],
  [24, "two fields", `${time} 02 4101 ${text} ${long} 00 ${text} ${number}`],
  [25, "listpack", `${time} ${long}`],
  [VALKEY_HASH, "two fields", `02 ${text} ${long} ${time} ${number} ${lzf} ${"ff".repeat(8)}`],
];

const named = values.map(([type, what, bytes]) => ({ type, name: `${rdbTypeName(type)}: ${what}`, value: hex(bytes) }));

function begin(type: number): ValueExtent {
  const extent = new ValueExtent();
  extent.begin(rdbTypeOf(type)!.layout!);
  return extent;
}

test("there is a value of every type that can be read", () => {
  const readable = Array.from({ length: 256 }, (_, type) => type).filter((type) => rdbTypeOf(type)?.layout !== undefined);
  expect(new Set(values.map(([type]) => type))).toEqual(new Set(readable));
});

test.each(named)("$name ends where it ends, whatever follows", ({ type, value }) => {
  for (const tail of [hex(""), hex("00"), hex("ff".repeat(40))]) {
    const cursor = new RdbCursor(Buffer.concat([value, tail]));
    expect(begin(type).advance(cursor)).toBe(true);
    expect(cursor.pos).toBe(value.length);
  }
});

test.each(named)("$name is found cut in two anywhere, and one byte at a time", ({ type, value }) => {
  for (let cut = 0; cut < value.length; cut++) {
    const extent = begin(type);
    const cursor = new RdbCursor(value, 0, cut);
    expect(extent.advance(cursor)).toBe(false);
    expect(cut - cursor.pos).toBeLessThan(20);
    cursor.end = value.length;
    expect(extent.advance(cursor)).toBe(true);
    expect(cursor.pos).toBe(value.length);
  }
  const extent = begin(type);
  const cursor = new RdbCursor(value, 0, 0);
  for (; cursor.end < value.length; cursor.end++) expect(extent.advance(cursor)).toBe(false);
  expect(extent.advance(cursor)).toBe(true);
});

test("an unknown module code, with its place", () => {
  expect(() => begin(7).advance(new RdbCursor(hex(`81 ${time} 01 05 06 00`)))).toThrow(/unknown code 6 .*\(at byte 11\)/);
});

test("a count that can't be", () => {
  expect(() => begin(4).advance(new RdbCursor(hex(most)))).toThrow(RdbError);
  expect(() => begin(4).advance(new RdbCursor(hex(`81 0020000000000000`)))).toThrow(/is not possible/);
});

test("a count that nothing follows asks for more", () => {
  const cursor = new RdbCursor(hex("81 001fffffffffffff"));
  expect(begin(4).advance(cursor)).toBe(false);
});
