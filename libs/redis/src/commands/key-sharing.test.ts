import { expect, test } from "vitest";
import { CommandKind } from "./command-kind.ts";
import { commandTable } from "./command-table.ts";
import { argsOfKey, isReplicatedWithKeys, keySharing, type KeySharing } from "./key-sharing.ts";

/** Every command that a stream may carry, but those of one key; what others are wrapped in on their way is judged by the keys that it tells. */
const expected: Readonly<Partial<Record<KeySharing, string>>> = {
  apart: "DEL JSON.MSET MSET MSETNX TS.MADD UNLINK",
  "writes-first":
    "BITOP CMS.MERGE EXZDIFFSTORE EXZINTERSTORE EXZUNIONSTORE GEOSEARCHSTORE PFMERGE SDIFFSTORE SINTERSTORE SUNIONSTORE " +
    "TDIGEST.MERGE TR.BITOP ZDIFFSTORE ZINTERSTORE ZRANGESTORE ZUNIONSTORE",
  "writes-rest": "GEORADIUS GEORADIUSBYMEMBER",
  sorts: "SORT",
  renames: "RENAME RENAMENX",
  copies: "COPY",
  script: "EVAL EVALSHA FCALL",
  together:
    "BLMOVE BLMOVEM BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN LMOVE LMOVEM LMPOP MSETEX PFCOUNT RPOPLPUSH " +
    "SMOVE TS.CREATERULE TS.DELETERULE XREADGROUP ZMPOP",
};

function carried(): { name: string; id: number; kind: number }[] {
  const kinds: readonly number[] = [CommandKind.write, CommandKind.script];
  return commandTable.names
    .map((name, id) => ({ name, id, kind: commandTable.kind[id] as number }))
    .filter(({ kind, name }) => kinds.includes(kind) && !name.startsWith("SLUICE."));
}

// Mutations seen to fail it: key-sharing.ts, a name taken out of `apart` or of WRITES_FIRST; additions.ts, a new command on two keys.
test("every write on several keys has been thought about: a new one has to be put where it belongs", () => {
  const found: Partial<Record<KeySharing, string[]>> = {};
  for (const { name, id } of carried()) (found[keySharing(id)] ??= []).push(name);
  const { one = [], none = [], ...several } = found;
  expect(Object.fromEntries(Object.entries(several).map(([sharing, names]) => [sharing, names.toSorted().join(" ")]))).toEqual(
    expected,
  );
  expect(one.length).toBeGreaterThan(200);
  // Of what names no key only scripts are no barrier.
  expect(none).toEqual(["SCRIPT"]);
});

test("arguments of a key are told of what is taken apart, and of nothing else", () => {
  const steps = carried().flatMap(({ name, id }) => (argsOfKey(id) === 0 ? [] : [`${name} ${argsOfKey(id)}`]));
  expect(steps.toSorted()).toEqual(["DEL 1", "JSON.MSET 3", "MSET 2", "MSETNX 2", "TS.MADD 3", "UNLINK 1"]);
  expect(keySharing(-1)).toBe("together");
});

test("what clients call with several keys and servers replicate with one is no danger to a filter", () => {
  expect(["BLPOP", "ZMPOP", "XREADGROUP"].map(isReplicatedWithKeys)).toEqual([false, false, false]);
  expect(["RPOPLPUSH", "BLMOVE", "MSETEX", "SUNIONSTORE"].map(isReplicatedWithKeys)).toEqual([true, true, true, true]);
});
