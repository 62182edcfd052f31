import { crc32 } from "node:zlib";
import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, test } from "vitest";
import { BatchError } from "./batch-shape.ts";
import { BatchKind, decodeBatch, encodeBatch, type Batch } from "./batch.ts";
import { AccessKind, ChangeFlag, ChangeRows, NO_EXPIRY, SnapshotRows } from "./rows.ts";

const head = {
  shard: "s0",
  epoch: 3,
  term: 7,
  previous: 1000,
  last: 1000,
  db: 2,
  replid: "a".repeat(40),
  part: null,
  besideCopy: false,
};
const empty = Buffer.alloc(0);
const set = Buffer.from("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");

function changes(): Batch {
  const rows = new ChangeRows(1);
  rows.add(set.length, 3, 27, 7629, 2, ChangeFlag.first | ChangeFlag.last, 4);
  rows.add(set.length, 3, 54, 7629, 0, ChangeFlag.first | ChangeFlag.last | ChangeFlag.expiry, 4);
  return { ...head, kind: BatchKind.changes, last: 1054, rows, body: Buffer.concat([set, set]) };
}

function snapshot(): Batch {
  const rows = new SnapshotRows(1);
  const known = { keyLength: 1, slot: 7629, db: 0, type: 0 };
  rows.add({ ...known, expireAtMs: NO_EXPIRY, length: 3, access: 0, accessKind: AccessKind.none });
  rows.add({ ...known, expireAtMs: 1_700_000_000_001, length: 4, access: 255, accessKind: AccessKind.frequency });
  return { ...head, kind: BatchKind.snapshot, previous: 0, last: 2, rows, body: Buffer.from("k\x01vK\x02vv") };
}

const nothing = { ...head, rows: null, body: empty };
const part = { ...changes(), last: 1000, part: { id: 1000, index: 2, final: false } };
const large = { ...nothing, kind: BatchKind.heartbeat, previous: 2 ** 40, last: Number.MAX_SAFE_INTEGER };

/** The format as it stands on disk: whoever changes one of these changes the version, too. */
const golden: readonly (readonly [string, Batch, string])[] = [
  [
    "changes",
    changes(),
    "9d0100a273300307cd03e8cd041e02d92861616161616161616161616161616161616161616161616161616161616161616161616161616161c4241b0000001b00000003000000030000001b00000036000000cd1dcd1d0200000003070404c4362a330d0a24330d0a5345540d0a24310d0a6b0d0a24310d0a760d0a2a330d0a24330d0a5345540d0a24310d0a6b0d0a24310d0a760d0ac0ce92495234",
  ],
  [
    "part of changes",
    part,
    "9d0100a273300307cd03e8cd03e802d92861616161616161616161616161616161616161616161616161616161616161616161616161616161c4241b0000001b00000003000000030000001b00000036000000cd1dcd1d0200000003070404c4362a330d0a24330d0a5345540d0a24310d0a6b0d0a24310d0a760d0a2a330d0a24330d0a5345540d0a24310d0a6b0d0a24310d0a760d0a93cd03e802c2cea7fbff4a",
  ],
  [
    "fence",
    { ...nothing, kind: BatchKind.fence },
    "9d0101a273300307cd03e8cd03e802d92861616161616161616161616161616161616161616161616161616161616161616161616161616161c400c400c0ceeb6553e2",
  ],
  [
    "heartbeat",
    large,
    "9d0102a273300307cb4270000000000000cb433fffffffffffff02d92861616161616161616161616161616161616161616161616161616161616161616161616161616161c400c400c0ce5c0f352d",
  ],
  [
    "heartbeat beside a copy",
    { ...large, besideCopy: true },
    "9e0102a273300307cb4270000000000000cb433fffffffffffff02d92861616161616161616161616161616161616161616161616161616161616161616161616161616161c400c400c0c3ce1745f834",
  ],
  [
    "snapshot",
    snapshot(),
    "9d0103a273300307000202d92861616161616161616161616161616161616161616161616161616161616161616161616161616161c434000000000000f0bf00108056febc78420300000004000000010000000100000000000000ff000000cd1dcd1d0000000000000002c4076b01764b027676c0ce16495a57",
  ],
  [
    "snapshot end",
    { ...nothing, kind: BatchKind.snapshotEnd, previous: 2, last: 2 },
    "9d0104a273300307020202d92861616161616161616161616161616161616161616161616161616161616161616161616161616161c400c400c0ce9a5d4343",
  ],
];

function plain(batch: Batch): unknown {
  return { ...batch, rows: batch.rows?.pack().toString("hex") ?? null, body: Buffer.from(batch.body).toString("hex") };
}

function refusal(message: Uint8Array): string {
  try {
    return `read ${JSON.stringify(plain(decodeBatch(message)))}`;
  } catch (cause) {
    return cause instanceof BatchError ? cause.message : `not a BatchError: ${String(cause)}`;
  }
}

/** `content` with a checksum that is right, as somebody who can write to the bus may make it. */
function signed(content: Buffer): Buffer {
  const message = Buffer.concat([content, Buffer.from([0xce]), Buffer.alloc(4)]);
  message.writeUInt32BE(crc32(message.subarray(0, -4)), message.length - 4);
  return message;
}

const packr = new Packr({ useRecords: false, mapsAsObjects: true });

function signedFields(changed: Record<number, unknown>, count = 13): Buffer {
  const fields: unknown[] = [1, BatchKind.heartbeat, "s0", 1, 1, 0, 10, 0, "r", empty, empty, null, 0xffffffff];
  for (const [at, value] of Object.entries(changed)) fields[Number(at)] = value;
  const packed = packr.pack(fields.slice(0, count - 1).concat(0xffffffff));
  return signed(packed.subarray(0, -5));
}

describe("the format", () => {
  test.each(golden)("of %s is pinned", (_name, batch, hex) => {
    expect(encodeBatch(batch).toString("hex")).toBe(hex);
  });

  test.each(golden)("of %s is read as it was written", (_name, batch, hex) => {
    expect(plain(decodeBatch(Buffer.from(hex, "hex")))).toEqual(plain(batch));
  });

  test("the body is a view into the message", () => {
    const message = encodeBatch(changes());
    expect(decodeBatch(message).body.buffer).toBe(message.buffer);
  });

  test("a message may stand anywhere in a larger buffer", () => {
    const message = encodeBatch(snapshot());
    const larger = new Uint8Array(message.length + 12);
    larger.set(message, 7);
    expect(plain(decodeBatch(larger.subarray(7, 7 + message.length)))).toEqual(plain(snapshot()));
  });

  test("messages made one after the other do not overwrite each other", () => {
    const first = encodeBatch(changes());
    const before = first.toString("hex");
    for (let i = 0; i < 1000; i++) encodeBatch(snapshot());
    expect(first.toString("hex")).toBe(before);
  });
});

describe("round trips", () => {
  const u16 = fc.integer({ min: 0, max: 0xffff });
  const u32 = fc.integer({ min: 0, max: 0xffffffff });
  const count = fc.maxSafeNat();

  test("of changes with any rows", () => {
    const row = fc.tuple(fc.uint8Array({ maxLength: 300 }), u32, u32, u16, u16, fc.nat(255), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 200 }),
        count,
        count,
        fc.string({ unit: "grapheme" }),
        (given, from, span, shard) => {
          const rows = new ChangeRows(1);
          for (const [bytes, argc, end, slot, db, flags, header] of given)
            rows.add(bytes.length, argc, end, slot, db, flags, header);
          const body = Buffer.concat(given.map(([bytes]) => bytes));
          const [previous = 0, last = 0] = [from, span].toSorted((a, b) => a - b);
          const batch = { ...head, kind: BatchKind.changes, shard, previous, last, rows, body };
          expect(plain(decodeBatch(encodeBatch(batch)))).toEqual(plain(batch));
        },
      ),
    );
  });

  test("of snapshots with any rows, and of parts", () => {
    const expiry = fc.oneof(fc.constant(NO_EXPIRY), fc.maxSafeNat());
    const row = fc.tuple(fc.uint8Array({ maxLength: 300 }), expiry, u32, u16, u16, fc.nat(255), fc.nat(2));
    const parts = fc.option(fc.record({ id: count, index: u32, final: fc.boolean() }));
    fc.assert(
      fc.property(fc.array(row, { maxLength: 100 }), parts, (given, inParts) => {
        const rows = new SnapshotRows(1);
        for (const [bytes, expireAtMs, access, slot, db, type, accessKind] of given) {
          rows.add({ length: bytes.length, keyLength: 0, expireAtMs, access, slot, db, type, accessKind });
        }
        const body = Buffer.concat(given.map(([bytes]) => bytes));
        const batch = { ...head, kind: BatchKind.snapshot, rows, body, part: inParts };
        expect(plain(decodeBatch(encodeBatch(batch)))).toEqual(plain(batch));
      }),
    );
  });
});

describe("what is no batch is refused", () => {
  test.each(golden)("%s with any one byte changed to any other", (_name, batch) => {
    const message = encodeBatch(batch);
    for (let at = 0; at < message.length; at++) {
      const right = message[at] as number;
      for (const wrong of [right ^ 0x01, right ^ 0x80, right ^ 0xff, (right + 1) % 256, 0]) {
        message[at] = wrong;
        expect(wrong === right ? "checksum" : refusal(message)).toMatch(/^checksum/);
      }
      message[at] = right;
    }
    expect(plain(decodeBatch(message))).toEqual(plain(batch));
  });

  test.each(golden)("%s cut anywhere, or with bytes behind it", (_name, batch) => {
    const message = encodeBatch(batch);
    for (let length = 0; length < message.length; length++) {
      expect(refusal(message.subarray(0, length))).toMatch(/^(checksum|a message of)/);
    }
    expect(refusal(Buffer.concat([message, Buffer.from([0xc0])]))).toMatch(/^checksum/);
  });

  test("any bytes, signed or not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(refusal(bytes)).not.toMatch(/^(read|not a BatchError)/);
        expect(refusal(signed(Buffer.from(bytes)))).not.toMatch(/^(read|not a BatchError)/);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["another version", { 0: 2 }, "wire version 2; this build reads version 1: run one release of Sluice"],
    ["a version that is no number", { 0: "1" }, "wire version 1; this build"],
    ["an unknown kind", { 1: 5 }, "unknown kind 5"],
    ["a kind between two", { 1: 1.5 }, "unknown kind 1.5"],
    ["a shard that is no text", { 2: 7 }, "shard: expected text, found number"],
    ["a negative epoch", { 3: -1 }, "epoch: expected a whole number, found -1"],
    ["a fractional term", { 4: 0.5 }, "term: expected a whole number, found 0.5"],
    ["an offset that is not exact", { 6: 2n ** 53n }, "last: expected a whole number, found 9007199254740992"],
    ["an offset that goes back", { 5: 11 }, "last 10 is below previous 11"],
    ["a database that is no number", { 7: null }, "db: expected a whole number, found null"],
    ["a history that is no text", { 8: true }, "replid: expected text, found boolean"],
    ["rows that are text", { 9: "x" }, "rows: expected bytes, found string"],
    ["a body that is null", { 10: null }, "body: expected bytes, found object"],
    ["a heartbeat with a body", { 10: Buffer.from("x") }, "kind 2 carries nothing, found 0 + 1 bytes"],
    ["a fence with rows", { 1: 1, 9: Buffer.alloc(18) }, "kind 1 carries nothing, found 18 + 0 bytes"],
    ["a snapshot end in parts", { 1: 4, 11: [0, 0, true] }, "kind 4 carries nothing"],
    ["broken change rows", { 1: 0, 9: Buffer.alloc(17) }, "17 bytes of rows are no whole number of rows"],
    ["broken snapshot rows", { 1: 3, 9: Buffer.alloc(18) }, "18 bytes of rows are no whole number of rows"],
    ["rows of another body", { 1: 0, 9: Buffer.alloc(18), 10: Buffer.from("xy") }, "the rows speak of 0 bytes, the body has 2"],
    ["a part of two fields", { 1: 0, 11: [1, 2] }, "malformed part"],
    ["a part with a negative index", { 1: 0, 11: [1, -2, true] }, "part index: expected a whole number, found -2"],
    ["a map", { 11: { a: 1 } }, "found msgpack type"],
    ["arrays in arrays", { 11: [1, [2], true] }, "found msgpack type 91"],
    ["a date", { 11: new Date(0) }, "found msgpack type d6"],
  ])("%s", (_name, changed: Record<number, unknown>, message) => {
    expect(refusal(signedFields(changed))).toContain(message);
  });

  test("too few fields, and too many", () => {
    expect(refusal(signedFields({}, 12))).toBe("expected 13 or 14 fields, found 12");
    expect(refusal(signedFields({ 12: true, 13: 0 }, 15))).toBe("expected 13 or 14 fields, found 15");
  });

  test.each([false, 1, null])("a 14th field that is %s", (value) => {
    expect(refusal(signedFields({ 12: value }, 14))).toBe(`besideCopy: expected true, found ${String(value)}`);
  });

  test("no array at all", () => {
    expect(refusal(signed(Buffer.from([0x81, 0x01])))).toBe("expected a msgpack array at 0, found byte 81");
  });
});

describe("a hostile message takes no memory and makes no object", () => {
  const start = Buffer.from([0x9d, 0x01]);
  test.each([
    ["an array that says 32 million fields, nested", Buffer.concat(Array<Buffer>(50).fill(Buffer.from("dd01ffffff", "hex")))],
    ["an array that says 4 billion fields", Buffer.from("ddffffffff", "hex")],
    ["a map that says 4 billion fields", Buffer.from("dfffffffff", "hex")],
    ["bytes that say 4 billion", Buffer.from("c6ffffffff", "hex")],
    ["text that says 4 billion", Buffer.from("dbffffffff", "hex")],
    ["an extension that says 4 billion", Buffer.from("c9ffffffff72", "hex")],
    ["a definition of a record", Buffer.from("d4724091a161", "hex")],
    ["a regular expression", Buffer.from("c7047892a128a0", "hex")],
    ["arrays 10 000 deep", Buffer.alloc(10_000, 0x91)],
    ["a length that is cut", Buffer.from("c6ff", "hex")],
  ])("%s", (_name, hostile) => {
    const before = process.memoryUsage();
    expect(refusal(signed(Buffer.concat([start, hostile])))).toMatch(/^(a field at|expected a field)/);
    const after = process.memoryUsage();
    expect(after.heapTotal + after.arrayBuffers - before.heapTotal - before.arrayBuffers).toBeLessThan(16 * 1024 * 1024);
  });
});
