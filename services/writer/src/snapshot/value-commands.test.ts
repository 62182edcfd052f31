import { readDumpPayload } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { AccessKind, SnapshotRows, SnapshotType, type SnapshotRow } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { valueCommands, type ValueCommand } from "./value-commands.ts";

const [STRING, LIST, MODULE, HASH_LISTPACK, STREAM_3, HASH_FIELDS] = [0, 1, 7, 16, 21, 24];
const GRACE_MS = 1001;
const key = Buffer.from("k");
/** "abc" as an RDB string, and a list of that one element. */
const string = Buffer.from([3, 97, 98, 99]);
const list = Buffer.from([1, 3, 97, 98, 99]);

interface Given {
  readonly value?: readonly Buffer[];
  readonly version?: number;
  readonly isValkey?: boolean;
  /** What the destination answered to a RESTORE. */
  readonly refusal?: string | null;
  /** Told what is left out; what can't be held is an error where absent. */
  readonly lacks?: (what: string) => void;
  readonly row?: Partial<SnapshotRow>;
}

const refuse = (what: string): never => {
  throw new Halt("DST-006", what);
};

function commandsFor(type: number, given: Given = {}): ValueCommand[] {
  const { value = [list], version = 70_015, isValkey = false, refusal = null, lacks = refuse, row = {} } = given;
  const rows = new SnapshotRows(1);
  rows.add({ expireAtMs: -1, length: 0, keyLength: 1, access: 0, slot: 0, db: 0, type, accessKind: AccessKind.none, ...row });
  const options = { server: { version, isValkey }, temporary: () => Buffer.from("t"), refusal, lacks };
  return valueCommands({ rows, row: 0, key, value }, { ...options, shift: (ms) => ms + GRACE_MS });
}

/** Commands as text, `…` in place of a payload. */
function shown(commands: readonly ValueCommand[]): string[] {
  const text = ({ before, pieces, after }: ValueCommand): string =>
    [...before, ...(pieces.length > 0 ? ["…"] : []), ...after].map(String).join(" ");
  return commands.map(text);
}

test.each<readonly [number, string[], string[]]>([
  [70_015, ["SET k … PXAT 6001"], ["RESTORE k 6001 … REPLACE ABSTTL"]],
  [60_200, ["SET k … PXAT 6001"], ["RESTORE k 6001 … REPLACE ABSTTL"]],
  [60_020, ["SET k …", "PEXPIREAT k 6001"], ["RESTORE k 6001 … REPLACE ABSTTL"]],
  [50_000, ["SET k …", "PEXPIREAT k 6001"], ["RESTORE k 6001 … REPLACE ABSTTL"]],
  [40_014, ["SET k …", "PEXPIREAT k 6001"], ["RESTORE k 0 … REPLACE", "PEXPIREAT k 6001"]],
  [20_824, ["SET k …", "PEXPIREAT k 6001"], ["RESTORE k 0 … REPLACE", "PEXPIREAT k 6001"]],
])("an expiring key in a destination of version %i", (version, forString, forList) => {
  const row = { expireAtMs: 5000 };
  expect(shown(commandsFor(STRING, { value: [string], version, row }))).toEqual(forString);
  expect(shown(commandsFor(LIST, { version, row }))).toEqual(forList);
});

test("a key that does not expire, and one that is expired already", () => {
  expect(shown(commandsFor(STRING, { value: [string] }))).toEqual(["SET k …"]);
  expect(shown(commandsFor(LIST))).toEqual(["RESTORE k 0 … REPLACE"]);
  expect(shown(commandsFor(LIST, { row: { expireAtMs: -5000 } }))).toEqual(["RESTORE k 1 … REPLACE ABSTTL"]);
});

test("a string is written plain, and restored where it comes in parts or with its access", () => {
  expect(commandsFor(STRING, { value: [string] })[0]?.pieces).toEqual([Buffer.from("abc")]);
  expect(shown(commandsFor(STRING, { value: [string.subarray(0, 2), string.subarray(2)] }))).toEqual(["RESTORE k 0 … REPLACE"]);
  const idle = { accessKind: AccessKind.idleSeconds, access: 7 };
  expect(shown(commandsFor(STRING, { value: [string], row: idle }))).toEqual(["RESTORE k 0 … REPLACE IDLETIME 7"]);
  expect(shown(commandsFor(LIST, { row: { accessKind: AccessKind.frequency, access: 9 } }))).toEqual([
    "RESTORE k 0 … REPLACE FREQ 9",
  ]);
  expect(shown(commandsFor(LIST, { version: 40_000, row: idle }))).toEqual(["RESTORE k 0 … REPLACE"]);
});

test("the payload of RESTORE is the raw value, whatever pieces it came in, stamped with the lowest version that has the type", () => {
  for (const value of [[list], [list.subarray(0, 1), list.subarray(1, 3), list.subarray(3)]]) {
    const payload = Buffer.concat([...(commandsFor(LIST, { value })[0]?.pieces ?? [])]);
    const { type, value: raw, rdbVersion } = readDumpPayload(payload);
    expect([type, raw.equals(list), rdbVersion <= 6]).toEqual([LIST, true, true]);
  }
});

test("loud: a library is taken by 7.0 and not by 6.2", () => {
  expect(commandsFor(SnapshotType.functionLibrary, { version: 70_000 })).toHaveLength(1);
  expect(() => commandsFor(SnapshotType.functionLibrary, { version: 60_216 })).toThrow(
    expect.objectContaining({ code: "DST-006" }),
  );
});

describe("where there is no RESTORE for it", () => {
  /** A field a with the value b. */
  const hashListpack = Buffer.concat([Buffer.of(13), Buffer.from([13, 0, 0, 0, 2, 0, 0x81, 97, 2, 0x81, 98, 2, 0xff])]);

  // Mutation: value-commands.ts, `whole`: restoresType is not asked.
  test("an older destination gets the elements under another key, which then takes the key's place", () => {
    expect(shown(commandsFor(HASH_LISTPACK, { value: [hashListpack], version: 60_216 }))).toEqual([
      "DEL t",
      "HSET t a b",
      "RENAME t k",
    ]);
    const row = { expireAtMs: 5000 };
    expect(shown(commandsFor(HASH_LISTPACK, { value: [hashListpack], version: 30_000, row }))).toEqual([
      "DEL t",
      "HMSET t a b",
      "RENAME t k",
      "PEXPIREAT k 6001",
    ]);
    expect(shown(commandsFor(HASH_LISTPACK, { value: [hashListpack], version: 70_000 }))).toEqual(["RESTORE k 0 … REPLACE"]);
  });

  // Mutation: value-commands.ts, `options.refusal === null` left out in `whole`, or in `isPlain`.
  test("one that refuses RESTORE gets elements of everything, and plain strings", () => {
    const refusal = "ERR unknown command";
    expect(shown(commandsFor(LIST, { refusal }))).toEqual(["DEL t", "RPUSH t abc", "RENAME t k"]);
    const idle = { accessKind: AccessKind.idleSeconds, access: 7 };
    expect(shown(commandsFor(STRING, { value: [string], refusal, row: idle }))).toEqual(["SET k …"]);
    expect(shown(commandsFor(STRING, { value: [string.subarray(0, 2), string.subarray(2)], refusal }))).toEqual([
      "DEL t",
      "SET t abc",
      "RENAME t k",
    ]);
  });

  test("loud: a value of a module can't be built, and a stream not before 5.0; nothing is left of what is skipped", () => {
    for (const [type, given, what] of [
      [MODULE, { refusal: "ERR Bad data format" }, "values of the type module, which it refuses (ERR Bad data format)"],
      [STREAM_3, { version: 40_014 }, "streams"],
    ] as const) {
      expect(() => commandsFor(type, given)).toThrow(expect.objectContaining({ code: "DST-006" }));
      const lacks: string[] = [];
      expect(shown(commandsFor(type, { ...given, lacks: (what) => lacks.push(what) }))).toEqual(["DEL k"]);
      expect(lacks).toEqual([what]);
    }
  });

  test("loud: what is no such value", () => {
    expect(() => commandsFor(HASH_LISTPACK, { value: [Buffer.of(2, 1, 1)], version: 60_000 })).toThrow(
      expect.objectContaining({ code: "SRC-004" }),
    );
  });

  test("a type of the other fork", () => {
    const persisted = Buffer.concat([Buffer.alloc(8), Buffer.from([1, 0, 1, 97, 1, 118])]);
    expect(shown(commandsFor(HASH_FIELDS, { value: [persisted], version: 90_100, isValkey: true }))).toEqual([
      "RESTORE k 0 … REPLACE",
    ]);
    expect(shown(commandsFor(HASH_LISTPACK, { value: [hashListpack], version: 80_100, isValkey: true }))).toEqual([
      "RESTORE k 0 … REPLACE",
    ]);
  });
});

test("libraries and scripts", () => {
  expect(shown(commandsFor(SnapshotType.functionLibrary))).toEqual(["FUNCTION RESTORE … REPLACE"]);
  expect(shown(commandsFor(SnapshotType.script, { value: [Buffer.from("return 1")] }))).toEqual(["SCRIPT LOAD …"]);
});

describe("a hash whose fields expire", () => {
  /** Minimum 5000; a: no expiry, b and d: 5000, c: 5002. */
  const minimum = Buffer.from([0x88, 0x13, 0, 0, 0, 0, 0, 0]);
  const field = (ttl: number, name: string): Buffer => Buffer.from([ttl, 1, name.charCodeAt(0), 1, 118]);
  const hash = Buffer.concat([minimum, Buffer.of(4), field(0, "a"), field(1, "b"), field(3, "c"), field(1, "d")]);

  test("is restored without their expiries, which follow with the grace", () => {
    const whole = ["RESTORE k 0 … REPLACE", "HPEXPIREAT k 6001 FIELDS 2 b d", "HPEXPIREAT k 6003 FIELDS 1 c"];
    expect(shown(commandsFor(HASH_FIELDS, { value: [hash], version: 70_400 }))).toEqual(whole);
    const parts = [hash.subarray(0, 3), hash.subarray(3, 20), hash.subarray(20)];
    expect(shown(commandsFor(HASH_FIELDS, { value: parts, version: 80_000 }))).toEqual(whole);
    const payload = readDumpPayload(
      Buffer.concat([...(commandsFor(HASH_FIELDS, { value: [hash], version: 70_400 })[0]?.pieces ?? [])]),
    );
    expect([payload.type, payload.rdbVersion]).toEqual([4, 6]);
    expect(payload.value.toString("latin1")).toBe("\x04\x01a\x01v\x01b\x01v\x01c\x01v\x01d\x01v");
  });

  test("its own expiry comes with the value", () => {
    const row = { expireAtMs: 5000 };
    expect(shown(commandsFor(HASH_FIELDS, { value: [hash], version: 70_400, row }))[0]).toBe("RESTORE k 6001 … REPLACE ABSTTL");
  });

  test("loud: an older destination can't hold it, unless no field expires any more", () => {
    expect(() => commandsFor(HASH_FIELDS, { value: [hash], version: 70_200 })).toThrow(
      expect.objectContaining({ code: "DST-006" }),
    );
    const persisted = Buffer.concat([minimum, Buffer.of(1), field(0, "a")]);
    expect(shown(commandsFor(HASH_FIELDS, { value: [persisted], version: 60_000 }))).toEqual(["RESTORE k 0 … REPLACE"]);
  });

  test("loud: one that can't be taken apart halts", () => {
    expect(() => commandsFor(HASH_FIELDS, { value: [hash.subarray(0, 15)], version: 70_400 })).toThrow(Halt);
  });

  test("many fields of one expiry take several commands", () => {
    const fields = Array.from({ length: 2_001 }, () => field(1, "x"));
    const commands = commandsFor(HASH_FIELDS, { value: [minimum, Buffer.of(0x47, 0xd1), ...fields], version: 70_400 });
    expect(commands.map(({ before }) => before[4])).toEqual([undefined, 1_000, 1_000, 1]);
  });
});
