import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CommandFramer } from "../resp/command-framer.ts";
import { restorePayload } from "../rdb/dump-payload.ts";
import { encodeCommand } from "../resp/encode-command.ts";
import type { CommandArgument } from "../resp/encode-command.ts";
import { commandTable } from "./command-table.ts";
import { carriesExpiry } from "./expiry-place.ts";
import { absoluteExpiry, ExpiryError, shiftExpiry as shiftInPieces } from "./rewrite-expiry.ts";

const NOW_MS = 1_700_000_000_123;

/** The command behind another one, so that its extents do not begin at 0. */
function framed(args: readonly CommandArgument[]): CommandFramer {
  const framer = new CommandFramer();
  framer.push(encodeCommand(["PING"]));
  framer.push(encodeCommand(args));
  framer.next();
  expect(framer.next()).toBe(true);
  return framer;
}

function shiftExpiry(...of: Parameters<typeof shiftInPieces>): Buffer | null {
  const pieces = shiftInPieces(...of);
  return pieces === null ? null : Buffer.concat(pieces);
}

function textOf(bytes: Buffer | null): string | null {
  if (bytes === null) return null;
  const framer = new CommandFramer();
  framer.push(bytes);
  expect(framer.next()).toBe(true);
  expect(framer.pendingBytes).toBe(0);
  return Array.from({ length: framer.argc }, (_, index) =>
    framer.buffer.toString("latin1", framer.argStart(index), framer.argEnd(index)),
  ).join(" ");
}

function carries(text: string): boolean {
  const command = framed(text.split(" "));
  return carriesExpiry(commandTable.idOfCommand(command), command);
}

describe("absoluteExpiry", () => {
  test.each([
    ["SETEX k 10 v", "SET k v PXAT 1700000010123"],
    ["psetex k 10 v", "SET k v PXAT 1700000000133"],
    ["set k v ex 10", "set k v PXAT 1700000010123"],
    ["SET k v PX 877 NX GET", "SET k v PXAT 1700000001000 NX GET"],
    ["SET k EX PX 877", "SET k EX PXAT 1700000001000"],
    ["SET k v IFEQ PX EX 1", "SET k v IFEQ PX PXAT 1700000001123"],
    ["EXPIRE k 10", "PEXPIREAT k 1700000010123"],
    ["EXPIRE k -1 GT", "PEXPIREAT k 1699999999123 GT"],
    ["PEXPIRE k 877 NX", "PEXPIREAT k 1700000001000 NX"],
    ["GETEX k EX 1", "PEXPIREAT k 1700000001123"],
    ["GETEX k PX 1", "PEXPIREAT k 1700000000124"],
    ["RESTORE k 877 payload", "RESTORE k 1700000001000 payload ABSTTL"],
    ["RESTORE k 877 payload REPLACE FREQ 3", "RESTORE k 1700000001000 payload REPLACE FREQ 3 ABSTTL"],
    ["RESTORE-ASKING k 877 payload", "RESTORE k 1700000001000 payload ABSTTL"],
    ["HEXPIRE k 1 NX FIELDS 1 f", "HPEXPIREAT k 1700000001123 NX FIELDS 1 f"],
    ["HPEXPIRE k 1 FIELDS 1 f", "HPEXPIREAT k 1700000000124 FIELDS 1 f"],
    ["HSETEX k FNX EX 1 FIELDS 1 f v", "HSETEX k FNX PXAT 1700000001123 FIELDS 1 f v"],
    ["HSETEX k FIELDS 1 EX 1 PX 1", "HSETEX k FIELDS 1 EX 1 PXAT 1700000000124"],
    ["HGETEX k PX 1 FIELDS 1 f", "HGETEX k PXAT 1700000000124 FIELDS 1 f"],
    ["MSETEX 1 EX 5 EX 1 NX", "MSETEX 1 EX 5 PXAT 1700000001123 NX"],
    ["INCREX k BYINT 2 EX 1 ENX", "INCREX k BYINT 2 PXAT 1700000001123 ENX"],
    ["EXSET k EX EX 1 VER 3", "EXSET k EX PXAT 1700000001123 VER 3"],
    ["EXINCRBY k 5 PX 877 MIN 0", "EXINCRBY k 5 PXAT 1700000001000 MIN 0"],
    ["EXHSET k f PX PX 877 NX", "EXHSET k f PX PXAT 1700000001000 NX"],
    ["EXHEXPIRE k f 1 VER 2", "EXHPEXPIREAT k f 1700000001123 VER 2"],
    ["CPC.UPDATE k EX EX 1", "CPC.UPDATE k EX PXAT 1700000001123"],
    ["EXPIRE k 9223372036854775", "PEXPIREAT k 9223373736854775123"],
  ])("%s", (text, expected) => {
    const command = framed(text.split(" "));
    expect(textOf(absoluteExpiry(command, NOW_MS))).toBe(expected);
    expect(carries(text)).toBe(true);
  });

  test.each(["SET k v PXAT 5", "EXPIREAT k 5", "RESTORE k 5 payload ABSTTL", "GETEX k EXAT 5", "HPEXPIREAT k 5 FIELDS 1 f"])(
    "%s is absolute already",
    (text) => {
      expect(absoluteExpiry(framed(text.split(" ")), NOW_MS)).toBeNull();
      expect(carries(text)).toBe(true);
    },
  );

  test.each([
    "SET k v",
    "SET EX EX",
    "SET k v KEEPTTL",
    "SET k v NX GET",
    "SET k v EX",
    "GETEX k",
    "GETEX k PERSIST",
    "RESTORE k 0 payload",
    "RESTORE k 0 payload ABSTTL",
    "HSETEX k FIELDS 1 EX 1",
    "HSETEX k FIELDS 9 EX 1",
    "MSETEX 1 EX 5",
    "MSETEX x EX 5",
    "PERSIST k",
    "INCR k",
    "NOSUCH EX 5",
  ])("%s carries no expiry", (text) => {
    expect(absoluteExpiry(framed(text.split(" ")), NOW_MS)).toBeNull();
    expect(shiftExpiry(framed(text.split(" ")), (ms) => ms + 1)).toBeNull();
    expect(carries(text)).toBe(false);
  });

  test("an expiry that is no whole number is refused, with what it is", () => {
    for (const number of ["", "1.5", "ten", "1".repeat(20)]) {
      expect(() => absoluteExpiry(framed(["SETEX", "k", number, "v"]), NOW_MS)).toThrow(ExpiryError);
      expect(() => shiftExpiry(framed(["EXPIREAT", "k", number]), (ms) => ms)).toThrow(/EXPIREAT: expected a whole number/);
    }
  });
});

describe("shiftExpiry", () => {
  // Mutations seen to fail it: rewrite-expiry.ts, LARGE_BYTES infinite: the value is copied; the header not a piece of its own.
  test.each<[string, CommandArgument[], CommandArgument[]]>([
    ["SET", ["SET", "k", "", "PXAT", "1000", "NX"], ["SET", "k", "", "PXAT", "1007", "NX"]],
    ["GETEX", ["GETEX", "", "EXAT", "1"], ["PEXPIREAT", "", "1007"]],
    ["RESTORE", ["RESTORE", "k", "1000", "", "REPLACE", "ABSTTL"], ["RESTORE", "k", "1007", "", "REPLACE", "ABSTTL"]],
  ])("a large %s is the same, in pieces of whole arguments, and its bytes are not copied", (_, args, expected) => {
    const large = Buffer.alloc(2 ** 20, "v");
    const whole = (of: CommandArgument[]): CommandArgument[] => of.map((argument) => (argument === "" ? large : argument));
    const framer = framed(whole(args));
    const [header, ...pieces] = shiftInPieces(framer, (ms) => ms + 7) ?? [];
    expect(header?.toString("latin1")).toBe(`*${expected.length}\r\n`);
    expect(Buffer.concat([header as Buffer, ...pieces]).equals(encodeCommand(whole(expected)))).toBe(true);
    expect(pieces.filter((piece) => piece.length >= large.length).map(({ buffer }) => buffer)).toEqual([framer.buffer.buffer]);
    for (const piece of pieces) expect([piece[0], piece.at(-1)]).toEqual([36, 10]);
  });

  test.each([
    ["SET k v PXAT 1000", "SET k v PXAT 1007"],
    ["SET k v EXAT 1 NX", "SET k v PXAT 1007 NX"],
    ["PEXPIREAT k 1000 GT", "PEXPIREAT k 1007 GT"],
    ["expireat k 1", "PEXPIREAT k 1007"],
    ["HPEXPIREAT k 1000 FIELDS 1 f", "HPEXPIREAT k 1007 FIELDS 1 f"],
    ["HEXPIREAT k 1 XX FIELDS 1 f", "HPEXPIREAT k 1007 XX FIELDS 1 f"],
    ["RESTORE k 1000 payload REPLACE ABSTTL", "RESTORE k 1007 payload REPLACE ABSTTL"],
    ["HSETEX k PXAT 1000 FIELDS 1 f v", "HSETEX k PXAT 1007 FIELDS 1 f v"],
    ["HGETEX k EXAT 1 FIELDS 1 f", "HGETEX k PXAT 1007 FIELDS 1 f"],
    ["MSETEX 1 k v EXAT 1", "MSETEX 1 k v PXAT 1007"],
    ["GETEX k EXAT 1", "PEXPIREAT k 1007"],
  ])("%s", (text, expected) => {
    expect(textOf(shiftExpiry(framed(text.split(" ")), (ms) => ms + 7))).toBe(expected);
  });

  test("leaves relative expiries and those beyond all dates alone", () => {
    for (const text of [
      "SETEX k 1 v",
      "SET k v PX 5",
      "EXPIRE k 5",
      "RESTORE k 5 p",
      "PEXPIREAT k 9223372036854775807",
      "EXPIREAT k 9223372036854775",
    ]) {
      expect(shiftExpiry(framed(text.split(" ")), () => expect.unreachable())).toBeNull();
    }
  });

  test("keeps keys and values byte by byte", () => {
    const binary = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(binary, binary, fc.integer({ min: 0, max: 4_000_000_000_000 }), (key, value, ms) => {
        const shifted = shiftExpiry(framed(["SET", key, value, "PXAT", ms]), (at) => at + 1);
        expect(shifted).toEqual(encodeCommand(["SET", key, value, "PXAT", ms + 1]));
        const absolute = absoluteExpiry(framed(["PSETEX", key, ms, value]), NOW_MS);
        expect(absolute).toEqual(encodeCommand(["SET", key, value, "PXAT", NOW_MS + ms]));
        const restored = absoluteExpiry(framed(["RESTORE", key, ms + 1, value, "REPLACE"]), NOW_MS);
        expect(restored).toEqual(encodeCommand(["RESTORE", key, NOW_MS + ms + 1, value, "REPLACE", "ABSTTL"]));
      }),
    );
  });

  test("a RESTORE of a hash whose fields expire: both its own expiry and theirs, and each alone", () => {
    // Minimum 5000; a: no expiry, b: 5000.
    const hash = (minimum: number): Buffer =>
      Buffer.concat(
        restorePayload(
          24,
          Buffer.from([minimum & 0xff, minimum >> 8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 97, 1, 118, 1, 1, 98, 1, 118]),
        ),
      );
    const shifted = (ttl: number, ...options: string[]): Buffer | null => {
      const command = framed(["RESTORE", "k", ttl, hash(5000), ...options]);
      expect(carriesExpiry(commandTable.idOfCommand(command), command)).toBe(true);
      return shiftExpiry(command, (ms) => ms + 7);
    };
    expect(shifted(0, "REPLACE")).toEqual(encodeCommand(["RESTORE", "k", 0, hash(5007), "REPLACE"]));
    expect(shifted(1000, "ABSTTL")).toEqual(encodeCommand(["RESTORE", "k", 1007, hash(5007), "ABSTTL"]));
    const plain = framed(["RESTORE", "k", 0, Buffer.concat(restorePayload(4, Buffer.of(1, 1, 97, 1, 118)))]);
    expect(carriesExpiry(commandTable.idOfCommand(plain), plain)).toBe(false);
    expect(shiftExpiry(plain, () => expect.unreachable())).toBeNull();
  });
});
