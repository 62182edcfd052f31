import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CommandFramer } from "../resp/command-framer.ts";
import { encodeCommand } from "../resp/encode-command.ts";
import type { CommandDefinition } from "./command-definition.ts";
import { CommandId } from "./command-id.ts";
import { CommandKind } from "./command-kind.ts";
import { commandTable } from "./command-table.ts";
import { addedCommands, kindByName } from "./additions.ts";
import { generatedCommands } from "./commands.generated.ts";
import { keepingCommands } from "./kept-keys.ts";
import { moduleCommands } from "./module-commands.ts";
import { sortsByPattern } from "./movable-keys.ts";
import { tairCommands } from "./tair-commands.ts";

function framed(text: string): CommandFramer {
  const framer = new CommandFramer();
  framer.push(encodeCommand(text.split(" ").map((word) => (word === "''" ? "" : word))));
  expect(framer.next()).toBe(true);
  return framer;
}

function keysOf(text: string, room = 16): string[] | number {
  const command = framed(text);
  const out = new Int32Array(room);
  const id = commandTable.idOfCommand(command);
  const count = commandTable.keyArgs(id, command, out);
  if (count < 0) return count;
  expect(commandTable.firstKeyArg(id, command)).toBe(count === 0 ? 0 : out[0]);
  return [...out.subarray(0, count)].map((index) =>
    command.buffer.toString("latin1", command.argStart(index), command.argEnd(index)),
  );
}

function kindOf(name: string): number | undefined {
  return commandTable.kind[commandTable.idOf(name)];
}

function oneKey(name: string): boolean {
  return commandTable.hasOneKey(commandTable.idOf(name));
}

function row(name: string, movableKeys: boolean): CommandDefinition {
  return {
    name,
    write: true,
    noScript: false,
    firstKey: 1,
    lastKey: 1,
    keyStep: 1,
    movableKeys,
    subcommands: [],
  };
}

describe("find", () => {
  test("finds every name in any letter case, inside other bytes", () => {
    for (const [id, name] of commandTable.names.entries()) {
      const mixed = name.replaceAll(/..?/g, (pair) => pair.slice(0, 1).toLowerCase() + pair.slice(1));
      for (const form of [name, name.toLowerCase(), mixed]) {
        const bytes = Buffer.from(`xy${form}SET`);
        expect(commandTable.find(bytes, 2, 2 + form.length)).toBe(id);
      }
    }
  });

  test("finds nothing else", () => {
    const names = new Set(commandTable.names);
    fc.assert(
      fc.property(fc.constantFrom(...commandTable.names), fc.nat(), fc.integer({ min: 0, max: 255 }), (name, where, byte) => {
        const bytes = Buffer.from(name, "latin1");
        bytes[where % bytes.length] = byte;
        const found = commandTable.find(bytes, 0, bytes.length);
        const capitals = bytes.toString("latin1").replaceAll(/[a-z]/g, (letter) => letter.toUpperCase());
        expect(found >= 0).toBe(names.has(capitals));
        expect(commandTable.names[found]).toBe(found >= 0 ? capitals : undefined);
      }),
      { numRuns: 2000 },
    );
    // 0x0d is `-` (0x2d) without the bit that letters differ in by case.
    for (const text of ["", "SE", "SETT", "RESTORE\rASKING", "RESTORE\u000dASKING", "x".repeat(1000)])
      expect(commandTable.idOf(text)).toBe(-1);
  });

  test("names of the constants are those of the table", () => {
    for (const [name, id] of Object.entries(CommandId)) expect(commandTable.names[id]).toBe(name);
  });
});

describe("kind", () => {
  test.each([
    [
      "write",
      [
        "SET",
        "DEL",
        "PFCOUNT",
        "SORT",
        "GEORADIUS",
        "RESTORE",
        "RESTORE-ASKING",
        "XGROUP",
        "HPEXPIREAT",
        "MSETEX",
        "VADD",
        "MOVE",
        "HIMPORT",
        "LMOVEM",
        "ARSET",
        "JSON.SET",
        "BF.ADD",
        "CMS.MERGE",
        "TS.ADD",
        "FT.SUGADD",
        "EXHSET",
        "TR.BITOP",
      ],
    ],
    ["control", ["PING", "REPLCONF", "SELECT", "MULTI", "EXEC"]],
    ["barrier", ["FLUSHALL", "FLUSHDB", "SFLUSH", "SWAPDB", "FUNCTION", "FT._CREATEIFNX", "_FT._DROPINDEXIFX"]],
    ["publish", ["PUBLISH", "SPUBLISH"]],
    ["dropped", ["CLUSTER", "TRIMSLOTS", "OPINFO"]],
    ["script", ["EVAL", "EVALSHA", "SCRIPT"]],
    [
      "forbidden",
      ["GET", "CONFIG", "DEBUG", "ACL", "SHUTDOWN", "REPLICAOF", "MODULE", "MIGRATE", "WATCH", "DISCARD", "SORT_RO", "PSYNC"],
    ],
  ] as const)("%s", (kind, names) => {
    for (const name of names) expect([name, kindOf(name)]).toEqual([name, CommandKind[kind]]);
  });

  test("every name with a rule of its own is in the table", () => {
    for (const name of Object.keys(kindByName)) expect([name, commandTable.idOf(name) >= 0]).toEqual([name, true]);
  });
});

describe("keyArgs", () => {
  test.each([
    ["set k v", ["k"]],
    ["DEL a b c", ["a", "b", "c"]],
    ["MSET a 1 b 2", ["a", "b"]],
    ["BLPOP a b 0", ["a", "b"]],
    ["BITOP AND d a b", ["d", "a", "b"]],
    ["XGROUP CREATE s g 0", ["s"]],
    ["XGROUP HELP", []],
    ["FLUSHALL", []],
    ["EVAL x 2 a b c", ["a", "b"]],
    ["EVAL x 0", []],
    ["MSETEX 2 a 1 b 2 PXAT 3", ["a", "b"]],
    ["HSETEX h FIELDS 1 f v", ["h"]],
    ["SORT a BY STORE GET STORE STORE d", ["a", "d"]],
    ["sort a store d store e", ["a", "e"]],
    ["GEORADIUS g 1 2 3 km STORE d", ["g", "d"]],
    ["MIGRATE h 1 '' 0 1 AUTH KEYS KEYS a b", ["a", "b"]],
    ["XREADGROUP GROUP STREAMS c STREAMS a b 0 0", ["a", "b"]],
    ["HIMPORT SET h fields v", ["h"]],
    ["HIMPORT DISCARDALL", []],
    ["BLMOVEM a b LEFT RIGHT 0 COUNT 2", ["a", "b"]],
    ["JSON.MSET a $ 1 b $ 2", ["a", "b"]],
    ["TS.MADD a 1 2 b 3 4", ["a", "b"]],
    ["TS.CREATERULE a b AGGREGATION avg 5", ["a", "b"]],
    ["CMS.MERGE d 2 a b WEIGHTS 1 2", ["d", "a", "b"]],
    ["EXZUNIONSTORE d 2 a b WEIGHTS 1 1", ["d", "a", "b"]],
    ["TR.BITOP d OR a b", ["d", "a", "b"]],
    ["FT.SAFEADD index doc 1.0 FIELDS f v", ["doc"]],
    ["FT._CREATEIFNX index SCHEMA f TEXT", []],
  ])("%s", (text, keys) => {
    expect(keysOf(text)).toEqual(keys);
  });

  test.each([
    "EVAL x 3 a b",
    "EVAL x -1",
    "EVAL x",
    "EVAL x 1e3 a",
    "MSETEX 2 a 1 b",
    "MSET a 1 b",
    "SET",
    "ZUNIONSTORE d 999999999999 a",
    "XREADGROUP GROUP g c STREAMS a",
    "JSON.MSET a $ 1 b $",
    "TR.BITOP d OR",
    "TDIGEST.MERGE d 2 a",
    "GET",
  ])("%s is malformed", (text) => {
    expect(keysOf(text)).toBe(-1);
  });

  test("tells how many there are when the room is short", () => {
    const command = framed("ZUNIONSTORE d 3 a b c");
    const out = new Int32Array(2);
    expect(commandTable.keyArgs(commandTable.idOfCommand(command), command, out)).toBe(4);
    expect([...out]).toEqual([1, 3]);
  });

  test("hasOneKey is true only where all keys are at one argument", () => {
    for (const name of ["SET", "HSET", "XGROUP", "RESTORE"]) expect([name, oneKey(name)]).toEqual([name, true]);
    for (const name of ["DEL", "MSET", "SORT", "EVAL", "COPY", "FLUSHALL", "ZUNIONSTORE"])
      expect([name, oneKey(name)]).toEqual([name, false]);
  });
});

test("mayRemoveKey tells what can take a key away, and takes no risk with what is not known", () => {
  const mayRemove = (name: string): number | undefined => commandTable.mayRemoveKey[commandTable.idOf(name)];
  for (const name of ["DEL", "LPOP", "SREM", "GETEX", "SET", "SINTERSTORE", "BITOP", "EXPIRE", "RESTORE", "JSON.DEL", "BF.ADD"])
    expect([name, mayRemove(name)]).toEqual([name, 1]);
  for (const name of ["APPEND", "LPUSH", "SADD", "ZADD", "XDEL", "XGROUP", "PERSIST", "GET"])
    expect([name, mayRemove(name)]).toEqual([name, 0]);
  const wider = commandTable.with([row("MOD.ADD", false)]);
  expect(wider.mayRemoveKey[wider.idOf("MOD.ADD")]).toBe(1);
  for (const name of keepingCommands) expect([name, mayRemove(name)]).toEqual([name, 0]);
});

test("each command is listed once", () => {
  const listed = [...addedCommands, ...moduleCommands, ...tairCommands].map(({ name }) => name);
  const generated = new Set(generatedCommands.map(({ name }) => name));
  expect(listed.filter((name, index) => generated.has(name) || listed.indexOf(name) !== index)).toEqual([]);
});

test("more commands can be added without moving the known ones", () => {
  const wider = commandTable.with([row("MOD.SET", false), row("MOD.MANY", true), { ...row("SET", false), write: false }]);
  expect(wider.names.slice(0, commandTable.names.length)).toEqual(commandTable.names);
  expect(wider.kind[wider.idOf("SET")]).toBe(CommandKind.write);
  const one = framed("mod.set a $ 1");
  expect(wider.kind[wider.idOfCommand(one)]).toBe(CommandKind.write);
  expect(wider.firstKeyArg(wider.idOfCommand(one), one)).toBe(1);
  const many = framed("mod.many a b");
  expect(wider.keyArgs(wider.idOfCommand(many), many, new Int32Array(4))).toBe(-1);
  expect([wider.mustAskKeys(wider.idOfCommand(many)), wider.mustAskKeys(wider.idOfCommand(one))]).toEqual([true, false]);
});

test.each([
  ["SORT a BY w_* STORE d", true],
  ["sort a get # get o:*->f limit 0 5 store d", true],
  ["SORT a LIMIT BY * GET x STORE d", false],
  ["SORT a BY nosort GET # STORE GET*", false],
  ["SORT a STORE BY* STORE d BY", false],
])("keys that patterns name: %s", (text, expected) => {
  expect(sortsByPattern(framed(text))).toBe(expected);
});
