import { Random } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import { decompressLzf } from "../rdb/lzf.ts";
import { RdbError } from "../rdb/rdb-error.ts";
import { VALKEY_HASH } from "../rdb/rdb-type.ts";
import { blob, hex, listpackOf, rawId, streamNode } from "./raw-values.sample.ts";
import { ElementReader, hasElements, type ElementReaderOptions } from "./element-reader.ts";
import type { ValueElement } from "./value-element.ts";

function read(type: number, value: Buffer, options: ElementReaderOptions = {}, pieceBytes = value.length): ValueElement[] {
  const reader = new ElementReader(type, options);
  const elements: ValueElement[] = [];
  for (let at = 0; at < value.length; at += pieceBytes) {
    reader.push(value.subarray(at, at + pieceBytes));
    for (let element = reader.next(); element !== undefined; element = reader.next()) elements.push(element);
  }
  reader.finish();
  for (let element = reader.next(); element !== undefined; element = reader.next()) elements.push(element);
  expect(reader.done).toBe(true);
  return elements;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function fieldsOf(elements: ValueElement[]): unknown[] {
  return elements.map((element) =>
    element.kind === "field" ? [element.field.toString(), element.value.toString(), element.expireAtMs] : element.kind,
  );
}

const id = "0000000000000005 0000000000000001";
const time = "0800000000000000";
describe("what no fixture has", () => {
  test("a zipmap, with unused bytes and a long value", () => {
    const long = "61".repeat(300);
    const value = blob(hex("02 01 61 02 03 7879 000000", "01 62", `fe2c010000 00 ${long}`, "ff"));
    expect(fieldsOf(read(9, value))).toEqual([
      ["a", "xy", -1],
      ["b", "a".repeat(300), -1],
    ]);
  });

  test("hashes of release candidates, and of Valkey", () => {
    expect(fieldsOf(read(22, hex("02 05 0161 0162 00 0163 0164")))).toEqual([
      ["a", "b", 5],
      ["c", "d", -1],
    ]);
    expect(fieldsOf(read(23, blob(listpackOf("a", "b", 5, "c", "d", 0))))).toEqual([
      ["a", "b", 5],
      ["c", "d", -1],
    ]);
    expect(fieldsOf(read(VALKEY_HASH, hex("02 0161 0162 0500000000000000 0163 0164 ffffffffffffffff")))).toEqual([
      ["a", "b", 5],
      ["c", "d", -1],
    ]);
  });

  test("ids of idempotent producers, which are counted", () => {
    const producers = "0a 4064 02 0170 02 0131 05 01 0132 05 01 0171 01 0131 05 01 03 00";
    const elements = read(26, hex("00", "00 00 00 00 00 00 00 00", "00", producers));
    expect(elements.map(({ kind }) => kind)).toEqual(["stream", "producers"]);
    expect(elements[1]).toEqual({ kind: "producers", ids: 3 });
  });

  test("scores that are no numbers", () => {
    expect(() => read(3, hex("01 0161 fd"))).toThrow("a score is not a number (at byte 3)");
    expect(() => read(5, hex("01 0161 000000000000f87f"))).toThrow("a score is not a number (at byte 3)");
    expect(() => read(3, hex("01 0161 036e616e"))).toThrow(/"nan" is no number/);
    expect(() => read(3, hex("01 0161 00"))).toThrow(/"" is no number/);
    const infinite = read(3, hex("02 0161 fe 0162 ff")).map((element) => (element.kind === "scored" ? element.score : 0));
    expect(infinite).toEqual([Infinity, -Infinity]);
  });
});

describe("a string that is never held whole", () => {
  const random = new Random(3);

  /** Blocks of LZF of every kind, as many as give about so many bytes. */
  function packed(about: number): { bytes: Buffer; plainBytes: number } {
    const blocks: Buffer[] = [];
    let plainBytes = 0;
    while (plainBytes < about) {
      const most = Math.min(plainBytes, 8192);
      const kind = most === 0 ? 0 : random.between(0, 2);
      const back = random.chance(0.5) ? most : random.between(1, most);
      const at = [(back - 1) >> 8, (back - 1) & 0xff] as const;
      if (kind === 0) {
        const literal = random.bytes(random.between(1, 32));
        blocks.push(Buffer.of(literal.length - 1), literal);
        plainBytes += literal.length;
      } else if (kind === 1) {
        const count = random.between(1, 6);
        blocks.push(Buffer.of((count << 5) | at[0], at[1]));
        plainBytes += count + 2;
      } else {
        const count = random.between(0, 255);
        blocks.push(Buffer.of(0xe0 | at[0], count, at[1]));
        plainBytes += count + 9;
      }
    }
    return { bytes: Buffer.concat(blocks), plainBytes };
  }

  const value = ({ bytes, plainBytes }: { bytes: Buffer; plainBytes: number }): Buffer =>
    Buffer.concat([hex("c3 80"), uint32(bytes.length), hex("80"), uint32(plainBytes), bytes]);
  const partsOf = (elements: ValueElement[]): Buffer[] =>
    elements.map((element) => (element.kind === "part" ? element.bytes : Buffer.alloc(0)));

  // Mutation: string-elements.ts, the window that is kept one byte shorter than references reach.
  test.each([1000, 300_000, 2_000_000])("compressed, of about %i bytes", (about) => {
    const compressed = packed(about);
    const plain = decompressLzf(compressed.bytes, compressed.plainBytes);
    for (const pieceBytes of [value(compressed).length, 5_000, 4_321]) {
      const parts = partsOf(read(0, value(compressed), {}, pieceBytes));
      expect(Buffer.concat(parts).equals(plain)).toBe(true);
      expect(Math.max(...parts.map(({ length }) => length))).toBeLessThanOrEqual(264 * 1024);
    }
  });

  test("compressed and malformed", () => {
    const compressed = packed(400_000);
    const { bytes, plainBytes } = compressed;
    expect(() => read(0, value({ bytes, plainBytes: plainBytes + 1 }))).toThrow(/LZF: \d+ bytes came out/);
    expect(() => read(0, value({ bytes, plainBytes: plainBytes - 1 }))).toThrow(/more bytes come out than/);
    expect(() => read(0, value({ bytes: Buffer.concat([bytes, hex("1f00")]), plainBytes }))).toThrow(/within a literal/);
    expect(() => read(0, value({ bytes: Buffer.concat([bytes, hex("e000")]), plainBytes }))).toThrow(/within a reference/);
    expect(() => read(0, value({ bytes: hex("2010"), plainBytes: 300_000 }))).toThrow(/before the output/);
  });

  test("256 MB, plain, passes through in pieces as they are", () => {
    const reader = new ElementReader(0, { maxElementBytes: 1000 });
    reader.push(Buffer.concat([hex("80"), uint32(256 * 1024 * 1024)]));
    const piece = Buffer.alloc(64 * 1024);
    const before = process.memoryUsage().arrayBuffers;
    let passed = 0;
    for (let sent = 0; sent < 256 * 1024 * 1024; sent += piece.length) {
      reader.push(piece);
      for (let part = reader.next(); part?.kind === "part"; part = reader.next()) passed += part.bytes.length;
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
    reader.finish();
    expect([passed, reader.next(), reader.done]).toEqual([256 * 1024 * 1024, undefined, true]);
  });
});

describe("refused", () => {
  test.each<[string, number, Buffer, RegExp]>([
    ["a value that is cut off", 4, hex("02 0161 0162 0163"), /the value is cut off \(at byte 7\)/],
    ["more than a value", 1, hex("01 0161 00"), /goes on behind its end \(at byte 3\)/],
    ["a long element", 1, hex("01 80000003e9"), /an element of 1001 bytes is longer than 1000 \(at byte 1\)/],
    ["one that unpacks long", 1, hex("01 c3 05 43e9"), /an element of 1001 bytes is longer than 1000 \(at byte 1\)/],
    ["an odd hash", 13, blob(hex("0e000000 0a000000 0100 00 0161 ff")), /ends where a value is expected/],
    ["a ziplist of another size", 10, blob(hex("0c000000 0a000000 0000 ff")), /says 12 bytes and has 11 \(at byte 0\)/],
    ["a ziplist of more entries", 10, blob(hex("0b000000 0a000000 0100 ff")), /says 1 entries and has 0/],
    ["an unknown entry", 10, blob(hex("0d000000 0a000000 0100 00c1 ff")), /no entry of a ziplist is encoded as 0xc1/],
    ["an entry without an end", 10, blob(hex("0d000000 0a000000 0100 00 05 ff")), /ends within an entry/],
    ["an intset of odd members", 11, blob(hex("03000000 01000000 000000")), /no members of 3 bytes/],
    ["an intset of another size", 11, blob(hex("02000000 02000000 0000")), /says 2 members of 2 bytes and has 10 bytes/],
    ["an empty zipmap", 9, blob(hex("00")), /a zipmap has at least 2 bytes/],
    ["a zipmap without an end", 9, blob(hex("01 01 61 01 00 62")), /the zipmap ends within an entry/],
    ["a zipmap of more", 9, blob(hex("02 01 61 01 00 62 ff")), /says 2 fields and has 1/],
    ["a node of a list", 18, hex("01 03 0161"), /no nodes of kind 3 \(at byte 1\)/],
    ["a key of a node", 15, hex("01 0161 00"), /a key of 1 bytes, not 16 \(at byte 1\)/],
    ["an expiry that is no time", 22, hex("01 81 0020000000000000 0161 0162"), /is not possible/],
  ])("%s", (_, type, value, message) => {
    for (const pieceBytes of [value.length, 1]) {
      expect(() => read(type, value, { maxElementBytes: 1000 }, pieceBytes)).toThrow(message);
      expect(() => read(type, value, { maxElementBytes: 1000 }, pieceBytes)).toThrow(RdbError);
    }
  });

  test("what only a module can read, and what is unknown", () => {
    for (const type of [6, 7, 8, 27, 28, 150 + 1, 245]) {
      expect(hasElements(type)).toBe(false);
      expect(() => new ElementReader(type)).toThrow(RangeError);
    }
  });

  test("again and again, once it was", () => {
    const reader = new ElementReader(18);
    reader.push(hex("01 03 0161"));
    for (let count = 0; count < 3; count++) expect(() => reader.next()).toThrow("no nodes of kind 3");
  });

  test("declared sizes cost nothing", () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const value of ["81 001fffffffffffff 0161", "01 80ffffffff", "c3 80ffffffff 80ffffffff"]) {
      for (const type of [0, 1, 4, 5, 15, 21, 22]) expect(() => read(type, hex(value))).toThrow(RdbError);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
  });
});

describe("pending entries", () => {
  const group = (pending: string, consumers: string): Buffer =>
    hex("00", "00 05 01 00 00 05 01 01", "01 0167 05 01 00", pending, consumers);
  const pending = `01 ${id} ${time} 02`;

  test("belong to the consumer that owns them", () => {
    const elements = read(19, group(pending, `01 0163 ${time} 01 ${id}`));
    expect(elements.map(({ kind }) => kind)).toEqual(["stream", "group", "consumer", "pending"]);
    expect(elements[3]).toEqual({ kind: "pending", id: { ms: 5n, seq: 1n }, deliveredAtMs: 8, deliveries: 2 });
  });

  test.each([
    ["nobody's", pending, "00", /1 pending entries of a group have no consumer/],
    ["one that is not pending", "00", `01 0163 ${time} 01 ${id}`, /owns an entry that is not pending/],
    ["two consumers'", pending, `02 0163 ${time} 01 ${id} 0164 ${time} 01 ${id}`, /two consumers own the same/],
    ["out of order", `02 ${id} ${time} 02 ${id} ${time} 02`, "00", /do not ascend/],
    ["too many", "03", "00", /more pending entries than 2/],
  ])("%s: refused", (_, entries, consumers, message) => {
    expect(() => read(19, group(entries, consumers), { maxPending: 2 })).toThrow(message);
  });
});

describe("nodes of a stream", () => {
  const state = "01 05 00 00 00 00 00 01 00";
  const stream = (...nodes: Buffer[]): Buffer => Buffer.concat([Buffer.of(nodes.length), ...nodes, hex(state)]);
  const entry = (...elements: (number | string)[]): Buffer =>
    stream(Buffer.concat([Buffer.of(16), rawId(5, 0), blob(listpackOf(...elements))]));

  test("entries with the node's fields, with their own, and deleted ones", () => {
    const value = entry(2, 1, 1, "f", 0, 2, 0, 0, "v", 4, 3, 0, 1, "w", 4, 0, 0, 2, 1, "g", "x", 5);
    const wide = Buffer.from(
      value.toString("hex").replace(state.replaceAll(" ", ""), "020502" + state.replaceAll(" ", "").slice(6)),
      "hex",
    );
    expect(read(19, wide).slice(0, 2)).toEqual([
      { kind: "entry", id: { ms: 5n, seq: 0n }, fieldsAndValues: [Buffer.from("f"), Buffer.from("v")] },
      { kind: "entry", id: { ms: 5n, seq: 2n }, fieldsAndValues: [Buffer.from("g"), Buffer.from("x")] },
    ]);
    expect(read(19, wide, { withoutEntries: true }).map(({ kind }) => kind)).toEqual(["stream"]);
  });

  test.each<[string, Buffer, RegExp]>([
    ["fields without an end", entry(1, 0, 1, "f", 7), /have no end/],
    ["an entry without fields", entry(1, 0, 0, 0, 0, 0, 0, 0, 3), /has no fields/],
    ["more than its entries", entry(1, 0, 1, "f", 0, 2, 0, 0, "v", 4, 9), /goes on behind its last entry/],
    ["fewer entries than it says", entry(2, 0, 1, "f", 0, 2, 0, 0, "v", 4), /where the flags of an entry is expected/],
    ["a word for a number", entry("x", 0, 1, "f", 0), /the number of entries is no number/],
    ["a negative count", stream(Buffer.concat([Buffer.of(16), rawId(5, 0), blob(hex("0a000000 0100 dfff02 ff"))])), /is -1/],
    ["ids that do not ascend", stream(streamNode(5, [[0, 0, "v"]]), streamNode(5, [[0, 0, "v"]])), /do not ascend/],
    ["an entry above the last id", stream(streamNode(6, [[0, 0, "v"]])), /above its last id/],
  ])("%s: refused", (_, value, message) => {
    expect(() => read(19, value)).toThrow(message);
    expect(() => read(19, value)).toThrow(RdbError);
  });
});
