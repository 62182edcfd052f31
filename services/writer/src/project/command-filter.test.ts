import { CommandFramer, CommandKind, commandTable, encodeCommand, encodeKeyed, keySharing } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { describe, expect, test } from "vitest";
import { CommandFilter } from "./command-filter.ts";
import { Projection } from "./projection.ts";
import { sliceOf, unitsIn } from "./unit-slice.sample.ts";

const origin = { label: "main.s0.0", batch: { previous: 0, last: 90, part: null } };

function framed(bytes: Buffer): CommandFramer {
  const framer = new CommandFramer();
  framer.push(bytes);
  if (!framer.next()) throw new Error("expected a command");
  return framer;
}

const excludes = (excluded: readonly string[], line: string): boolean =>
  new CommandFilter(excluded).excludes(framed(encodeCommand(line.split(" "))));

// Mutations seen to fail it: command-filter.ts, a subcommand takes the place of WHOLE; `wordAt` without capitals.
test("commands are known by their names, containers by their subcommands, too", () => {
  for (const line of ["flushall", "FLUSHALL ASYNC"]) expect(excludes(["FLUSHALL"], line)).toBe(true);
  expect(excludes(["FLUSHALL"], "FLUSHDB")).toBe(false);
  expect(excludes(["XGROUP CREATE"], "xgroup create k g 0")).toBe(true);
  expect(excludes(["XGROUP CREATE", "XGROUP DESTROY"], "XGROUP DESTROY k g")).toBe(true);
  expect(excludes(["XGROUP CREATE"], "XGROUP SETID k g 0")).toBe(false);
  for (const both of [
    ["FUNCTION", "FUNCTION LOAD"],
    ["FUNCTION LOAD", "FUNCTION"],
  ])
    expect(excludes(both, "FUNCTION FLUSH")).toBe(true);
  expect([new CommandFilter([]).isEmpty, new CommandFilter(["DEL"]).isEmpty]).toEqual([true, false]);
});

// Mutation seen to fail it: command-filter.ts, carriers are looked up as they are.
test("a module's command that is in no table is known by its name, also in what it travels in", () => {
  const raw = encodeCommand(["my.set", "k", "v"]);
  const { buffer, argc } = framed(raw);
  const extent = { buffer, start: 0, end: raw.length, argc, headerLength: raw.indexOf("\n") + 1 };
  const carrier = encodeKeyed(extent, { args: [1], noScript: false });
  for (const bytes of [raw, carrier]) {
    expect(new CommandFilter(["MY.SET"]).excludes(framed(bytes))).toBe(true);
    expect(new CommandFilter(["MY.SET K"]).excludes(framed(bytes))).toBe(true);
    expect(new CommandFilter(["MY.GET", "SET"]).excludes(framed(bytes))).toBe(false);
  }
});

// Mutation seen to fail it: projection.ts, `#scopeOf` asks the scope first (PIP-015); the early return without the filter.
test("what is left out by its name is counted, needs no keys, and the rest of its transaction goes on", () => {
  const keys = { include: ["a:*"], exclude: [] };
  const commands = { exclude: ["DEL", "RENAME", "FLUSHALL"] };
  const unit = ["SET a:1 x", "DEL a:2", "RENAME b:1 a:1", "SET a:3 y"].map((line) => ({ db: 0, line }));
  const slice = sliceOf(unit, [{ db: 0, line: "FLUSHALL" }], [{ db: 0, line: "UNLINK a:1" }]);
  const projection = Projection.of({}, { keys, commands });
  expect(projection).not.toBeNull();
  const left = unitsIn(projection!.project(slice, origin));
  expect(left.map(({ end, commands: own }) => [end, ...own.map(({ line }) => line)])).toEqual([
    [10, "SET a:1 x", "SET a:3 y"],
    [30, "UNLINK a:1"],
  ]);
  expect(projection!.filteredCommands).toBe(3);
  const alone = Projection.of({}, { keys: { include: [], exclude: [] }, commands: { exclude: ["UNLINK"] } });
  expect(unitsIn(alone!.project(slice, origin)).map(({ end }) => end)).toEqual([10, 20]);
  expect(Projection.of({}, { keys: { include: [], exclude: [] }, commands: { exclude: [] } })).toBeNull();
});

/** Calls on a:1, which is in the scope, and b:1, which is not; of commands whose keys three numbers do not tell. */
const movable: Readonly<Record<string, (in1: string, in2: string) => string>> = {
  MSETEX: (one, two) => `MSETEX 2 ${one} v ${two} v`,
  SORT: (one, two) => `SORT ${one} STORE ${two}`,
  GEORADIUS: (one, two) => `GEORADIUS ${one} 1 1 9 m STORE ${two}`,
  GEORADIUSBYMEMBER: (one, two) => `GEORADIUSBYMEMBER ${one} m 9 m STORE ${two}`,
  XREADGROUP: (one, two) => `XREADGROUP GROUP g c STREAMS ${one} ${two} > >`,
  "TR.BITOP": (one, two) => `TR.BITOP ${one} OR ${two}`,
  ...Object.fromEntries(["LMPOP", "ZMPOP"].map((name) => [name, (one, two) => `${name} 2 ${one} ${two} MIN`])),
  ...Object.fromEntries(["BLMPOP", "BZMPOP"].map((name) => [name, (one, two) => `${name} 0 2 ${one} ${two} MIN`])),
  ...Object.fromEntries(["EVAL", "EVALSHA", "FCALL"].map((name) => [name, (one, two) => `${name} x 2 ${one} ${two}`])),
  ...Object.fromEntries(
    "ZUNIONSTORE ZINTERSTORE ZDIFFSTORE CMS.MERGE TDIGEST.MERGE EXZUNIONSTORE EXZINTERSTORE EXZDIFFSTORE"
      .split(" ")
      .map((name) => [name, (one, two) => `${name} ${one} 1 ${two}`]),
  ),
};

/** A call of the command on two keys. */
function callOf(name: string, id: number, one: string, two: string): string {
  const written = movable[name];
  if (written !== undefined) return written(one, two);
  const { firstKey, lastKey, keyStep } = commandTable.definition(id)!;
  const front = Array.from({ length: firstKey - 1 }, () => "x");
  const pair = [one, two].flatMap((key) => [key, ...Array.from({ length: keyStep - 1 }, () => "v")]);
  const back = Array.from({ length: lastKey < -1 ? -1 - lastKey : 0 }, () => "0");
  return [name, ...front, ...pair, ...back].join(" ");
}

const A = { keys: { include: ["a:*"], exclude: [] } };

/** What a group with keys a:* gets of the call: its commands, `halts`, or `whole`. */
function outcomeOf(line: string): string {
  try {
    const slice = sliceOf([{ db: 0, line }]);
    const projected = Projection.of({}, A)!.project(slice, origin);
    if (projected === slice) return "whole";
    return unitsIn(projected)
      .flatMap(({ commands }) => commands.map((one) => one.line))
      .join("; ");
  } catch (cause) {
    if (cause instanceof Halt && cause.code === "PIP-015") return "halts";
    throw cause;
  }
}

const several = commandTable.names
  .map((name, id) => ({ name, id, sharing: keySharing(id), kind: commandTable.kind[id] as number }))
  .filter(({ kind }) => kind === CommandKind.write || kind === CommandKind.script)
  .filter(({ sharing, name }) => sharing !== "one" && sharing !== "none" && !name.startsWith("SLUICE."));

// Mutations seen to fail it: command-scope.ts, each of the lines for `apart`, `writes-first`, `writes-rest` and `renames` taken out.
describe("every write on several keys of the command table, with keys on both sides of a filter", () => {
  test.each(several)("$name: $sharing", ({ name, id, sharing }) => {
    const [forth, back] = [callOf(name, id, "a:1", "b:1"), callOf(name, id, "b:1", "a:1")];
    const [first, second] = [outcomeOf(forth), outcomeOf(back)];
    expect(outcomeOf(callOf(name, id, "a:1", "a:2"))).toBe(sharing === "copies" ? outcomeOf("COPY a:1 a:2") : "whole");
    expect(outcomeOf(callOf(name, id, "b:1", "b:2"))).toBe("");
    if (sharing === "apart") {
      expect([first, second].map((left) => left.split(" ").slice(0, 2).join(" "))).toEqual([`${name} a:1`, `${name} a:1`]);
      expect(first + second).not.toContain("b:1");
    } else if (sharing === "writes-first") expect([first, second]).toEqual(["halts", ""]);
    else if (sharing === "writes-rest" || sharing === "sorts" || sharing === "copies")
      expect([first, second]).toEqual(["", "halts"]);
    else if (sharing === "renames") expect([first, second]).toEqual(["DEL a:1", "halts"]);
    else expect([first, second]).toEqual(["halts", "halts"]);
  });
});
