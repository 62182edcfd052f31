import { describe, expect, test } from "vitest";
import { CommandFramer } from "../resp/command-framer.ts";
import { encodeCommand } from "../resp/encode-command.ts";
import { ReplyError } from "../resp/reply.ts";
import type { Reply } from "../resp/reply.ts";
import { CommandKind } from "./command-kind.ts";
import { commandTable } from "./command-table.ts";
import { commandInfoRequest, keysInReply, keysRequest, unknownCommand, UnknownCommandError } from "./unknown-command.ts";

function framed(text: string): CommandFramer {
  const framer = new CommandFramer();
  framer.push(encodeCommand(text.split(" ")));
  framer.next();
  return framer;
}

/** The keys of a call of a command that only its own server describes; -1 where they can't be told, "ask" where the server has to tell them. */
function keysOf(element: Reply, text: string): string[] | number | "ask" {
  const command = framed(text);
  const table = commandTable.with([unknownCommand(text.split(" ")[0]!, element)]);
  const id = table.idOfCommand(command);
  expect(table.kind[id]).toBe(CommandKind.write);
  if (table.mustAskKeys(id)) return "ask";
  const out = new Int32Array(16);
  const count = table.keyArgs(id, command, out);
  return count < 0 ? count : [...out.subarray(0, count)].map((index) => text.split(" ")[index]!);
}

function index(at: number): Reply {
  return ["type", "index", "spec", ["index", at]];
}

function keyword(word: string, from: number): Reply {
  return ["type", "keyword", "spec", ["keyword", Buffer.from(word), "startfrom", from]];
}

function range(lastkey: number, keystep = 1, limit = 0): Reply {
  return ["type", "range", "spec", ["lastkey", lastkey, "keystep", keystep, "limit", limit]];
}

function count(keynumidx: number, firstkey: number, keystep = 1): Reply {
  return ["type", "keynum", "spec", ["keynumidx", keynumidx, "firstkey", firstkey, "keystep", keystep]];
}

function specified(begin: Reply, find: Reply, ...flags: string[]): Reply {
  return ["notes", Buffer.from("text"), "flags", ["RW", ...flags], "begin_search", begin, "find_keys", find];
}

/** A row as Redis 7.0 and later write it. */
function row(
  name: string,
  keys: readonly number[],
  specifications: Reply[] = [],
  children: Reply[] = [],
  flag = "write",
): Reply {
  const flags = specifications.length > 0 ? [flag, "movablekeys"] : [flag];
  return [Buffer.from(name), -2, flags, ...keys, ["@write"], [], specifications, children];
}

const UNKNOWN: Reply = ["type", "unknown", "spec", []];

describe("unknownCommand", () => {
  test.each<[string, Reply, string, string[] | number | "ask"]>([
    ["2.8: six elements", ["mod.set", 3, ["write", "denyoom"], 1, 1, 1], "mod.set a b", ["a"]],
    ["2.8: keys only the server knows", ["mod.store", -2, ["write", "movablekeys"], 0, 0, 0], "MOD.STORE a", "ask"],
    ["6.0: seven elements", ["mod.mset", -3, ["write"], 1, -1, 2, ["@slow"]], "MOD.MSET a 1 b 2", ["a", "b"]],
    ["6.2: a container with a key at 2", ["mod", -2, ["write"], 2, 2, 1, ["@slow"]], "MOD CREATE a", ["a"]],
    ["7.0: three numbers", row("mod.set", [1, 1, 1]), "MOD.SET a b", ["a"]],
    [
      "7.0: counted",
      row("m", [1, 1, 1], [specified(index(1), range(0)), specified(index(2), count(0, 1))]),
      "M d 2 a b x",
      ["d", "a", "b"],
    ],
    ["7.0: a count of 0", row("m", [0, 0, 0], [specified(index(2), count(0, 1))]), "M s 0 x", []],
    ["7.0: a count that is too large", row("m", [0, 0, 0], [specified(index(2), count(0, 1))]), "M s 3 a b", -1],
    ["7.0: no count", row("m", [0, 0, 0], [specified(index(2), count(0, 1))]), "M s x a", -1],
    ["7.0: count and steps", row("m", [0, 0, 0], [specified(index(1), count(0, 1, 2))]), "M 2 a 1 b 2 EX 3", ["a", "b"]],
    [
      "7.0: behind a word",
      row("m", [1, 1, 1], [specified(index(1), range(0)), specified(keyword("STORE", 2), range(0))]),
      "M a x store d",
      ["a", "d"],
    ],
    ["7.0: a word that is not there", row("m", [1, 1, 1], [specified(keyword("STORE", 2), range(0))]), "M a x", []],
    [
      "7.0: a word from the end",
      row("m", [0, 0, 0], [specified(keyword("KEYS", -2), range(-1))]),
      "M KEYS KEYS a b",
      ["a", "b"],
    ],
    [
      "7.0: the first half",
      row("m", [0, 0, 0], [specified(keyword("STREAMS", 1), range(-1, 1, 2))]),
      "M STREAMS a b 0 0",
      ["a", "b"],
    ],
    ["7.0: to the last but one", row("m", [0, 0, 0], [specified(index(1), range(-2))]), "M a b 0", ["a", "b"]],
    [
      "7.0: channels are no keys",
      row("m", [1, 1, 1], [specified(index(1), range(0)), specified(index(2), range(0), "not_key")]),
      "M a c",
      ["a"],
    ],
    ["7.0: incomplete", row("m", [1, 1, 1], [specified(index(1), range(0), "incomplete")]), "M a STORE d", "ask"],
    ["7.0: begin unknown", row("m", [1, 1, 1], [specified(UNKNOWN, range(0))]), "M a", "ask"],
    ["7.0: keys unknown", row("m", [1, 1, 1], [specified(index(1), UNKNOWN)]), "M a", "ask"],
  ])("%s", (_, element, text, keys) => {
    expect(keysOf(element, text)).toEqual(keys);
  });

  test("a container's keys are those of the subcommand that is called", () => {
    const children = [
      row("mod|put", [2, 2, 1]),
      row("mod|join", [0, 0, 0], [specified(index(3), count(0, 1))]),
      row("mod|drop", [0, 0, 0], [], [], "admin"),
    ];
    const element = row("mod", [0, 0, 0], [], children);
    expect(keysOf(element, "MOD put a 1")).toEqual(["a"]);
    expect(keysOf(element, "mod JOIN x 2 a b")).toEqual(["a", "b"]);
    expect(keysOf(element, "MOD DROP x")).toEqual([]);
    expect(keysOf(element, "MOD OTHER x")).toBe(-1);
    expect(keysOf(row("mod", [0, 0, 0], [], [row("mod|put", [0, 0, 0], [specified(UNKNOWN, UNKNOWN)])]), "MOD PUT a")).toBe(
      "ask",
    );
  });

  test.each<[string, Reply | undefined, RegExp]>([
    ["not known there", null, /^MOD\.SET: its own server does not know it/],
    ["no element", undefined, /does not know it/],
    ["an error", new ReplyError("NOPERM no"), /answered COMMAND INFO with NOPERM no/],
    ["a read", ["mod.set", 2, ["readonly"], 1, 1, 1], /does not call it a write/],
    ["no keys", ["mod.set", 2, ["write"], 0, 0, 0], /names no keys/],
    ["another command", ["mod.get", 2, ["write"], 1, 1, 1], /described MOD\.GET in its place/],
    ["too short", ["mod.set", 2, ["write"]], /can't be read: .*6 elements/],
    ["no flags", ["mod.set", 2, 3, 1, 1, 1], /can't be read: .*flags/],
    ["far keys", ["mod.set", 2, ["write"], 1000, 1000, 1], /positions of keys below 100/],
    ["no number", ["mod.set", 2, ["write"], "x", 1, 1], /positions of keys/],
    ["no step", ["mod.set", 2, ["write"], 1, 1, 0], /a step of 1 or more/],
    ["half a specification", row("mod.set", [1, 1, 1], [["flags"]]), /pairs of names and values/],
    [
      "a specification without numbers",
      row("mod.set", [1, 1, 1], [specified(index(1), ["type", "range", "spec", ["lastkey", "x"]])]),
      /whole number as keystep/,
    ],
    [
      "too many specifications",
      row(
        "mod.set",
        [1, 1, 1],
        Array.from({ length: 65 }, () => specified(index(1), range(0))),
      ),
      /at most 64/,
    ],
    [
      "too many subcommands",
      row(
        "mod.set",
        [0, 0, 0],
        [],
        Array.from({ length: 1025 }, () => row("m|s", [2, 2, 1])),
      ),
      /at most 1024 subcommands/,
    ],
  ])("refuses with the name: %s", (_, element, message) => {
    expect(() => unknownCommand("mod.set", element)).toThrow(UnknownCommandError);
    expect(() => unknownCommand("mod.set", element)).toThrow(message);
  });

  test("a name of any bytes makes a printable message", () => {
    expect(() => unknownCommand(`\r\n${"x".repeat(1000)}`, null)).toThrow(/^\?\?X{62}: /);
  });
});

describe("asking for the keys of one call", () => {
  const command = framed("mod.store a b");

  test("asks in the words of the server's version", () => {
    expect(commandInfoRequest(["A", "B"])).toEqual(["COMMAND", "INFO", "A", "B"]);
    expect(keysRequest(command, 70_000).map(String)).toEqual(["COMMAND", "GETKEYSANDFLAGS", "mod.store", "a", "b"]);
    expect(keysRequest(command, 60_216).map(String)).toEqual(["COMMAND", "GETKEYS", "mod.store", "a", "b"]);
    expect(() => keysRequest(framed(`MOD.STORE ${"x".repeat(2 ** 20)}`), 70_000)).toThrow(/^MOD\.STORE: a call of more than/);
  });

  test("reads both answers", () => {
    const [a, b] = [Buffer.from("a"), Buffer.from("b")];
    expect(keysInReply(command, [a, b])).toEqual([a, b]);
    expect(
      keysInReply(command, [
        [a, ["RW", "access"]],
        [b, []],
      ]),
    ).toEqual([a, b]);
  });

  test.each<[string, Reply]>([
    ["an error", new ReplyError("ERR Invalid arguments specified for command")],
    ["none", []],
    ["no array", 1],
    ["no keys in it", [["x"]]],
    ["more than arguments", [Buffer.from("a"), Buffer.from("b"), Buffer.from("c")]],
  ])("refuses with the name: %s", (_, reply) => {
    expect(() => keysInReply(command, reply)).toThrow(/^MOD\.STORE: its server/);
    expect(() => keysInReply(command, reply)).toThrow(UnknownCommandError);
  });
});
