import { expect, test } from "vitest";
import { destinationExcludedCommands, judgeExclusion } from "./destination/excluded-commands.ts";
import { destinationFilters, judgeFilters } from "./destination/filters.ts";

const spec = { databases: {}, existing: "refuse", excluded: [] as string[], isFiltered: false } as const;
const calls = (...commands: string[]) => new Map(commands.map((command, index) => [command, 9 - index]));
const foundBy = (change: object, copied: readonly number[] | null, ...used: string[]) => {
  const { level, found } = judgeFilters(calls(...used), { spec: { ...spec, ...change }, copied });
  return `${level}: ${found}`;
};

// Mutations seen to fail it: filters.ts, `halting` without each of its four lines; `isReplicatedWithKeys` not asked; `excluded` not looked at.
test("commands in use that a filter could not take apart are named, and no others", () => {
  const filtered = { isFiltered: true };
  expect(foundBy({}, null, "RENAME")).toBe("pass: the group gets every key");
  expect(foundBy(filtered, null, "GET", "SET", "DEL", "MSET", "BLPOP", "ZMPOP", "PFCOUNT", "NOSUCH", "MGET")).toMatch(/^pass/);
  expect(foundBy(filtered, null, "SUNIONSTORE", "SET", "RENAME", "MSETEX")).toBe(
    "warn: clients of the source use SUNIONSTORE 9, RENAME 7, MSETEX 6",
  );
  expect(foundBy(filtered, null, "SORT", "LMOVE")).toBe(
    "warn: clients of the source use SORT 9, LMOVE 8; of SORT only what has STORE counts",
  );
  expect(foundBy({ ...filtered, excluded: ["RENAME"] }, null, "RENAME")).toMatch(/^pass/);
  expect(foundBy({}, [0, 3], "RENAME", "SWAPDB", "MOVE")).toBe("warn: clients of the source use SWAPDB 8, MOVE 7");
  expect(foundBy({ databases: { "3": 0 } }, null, "SETNX", "RENAME")).toBe("warn: clients of the source use SETNX 9");
  expect(foundBy({ databases: { "3": 5 } }, [3], "SETNX", "FLUSHDB")).toMatch(/^pass/);
  expect(foundBy({ existing: "keep" }, null, "FLUSHALL", "RENAME")).toBe(
    "warn: clients of the source use FLUSHALL 9, RENAME 8",
  );
});

// Mutations seen to fail it: excluded-commands.ts, each of the four parts left out; NO_VALUES not looked at.
test("what leaving out commands comes to is said: a copy is by values, some names never come, whole keyspaces halt", () => {
  const judge = (excluded: readonly string[], change: object = {}) => {
    const { level, found } = judgeExclusion({ excluded, isCopied: true, hasManyLanes: false, ...change });
    return `${level}: ${found}`;
  };
  expect(judge(["DEL", "FLUSHALL"])).toMatch(/^warn: DEL, FLUSHALL will be left out of changes, and not of copies/);
  expect(judge(["DEL"], { isCopied: false })).toBe("pass: DEL is left out");
  expect(judge(["PUBLISH", "SCRIPT LOAD", "FUNCTION"])).toMatch(/^pass/);
  expect(judge(["EXPIRE"])).toMatch(/^warn: some never come under these names.*EXPIRE as PEXPIREAT/);
  expect(judge(["FUNCTION"], { hasManyLanes: true })).toBe(
    "warn: with several lanes FUNCTION halts its shard all the same (PIP-004)",
  );
  expect(judge(["MY.SET"])).toContain("MY.SET is taken for a module's");
  expect(judge([])).toBe("pass: no command is left out");
});

test("pipelines without filters are told nothing", () => {
  const subject = (change: object, databases: readonly number[] | null = null) =>
    ({ subject: { databases, destinations: [{ ...spec, ...change }] } }) as never;
  const applies = (change: object, databases: readonly number[] | null = null) => [
    destinationFilters.applies?.(subject(change, databases)),
    destinationExcludedCommands.applies?.(subject(change, databases)),
  ];
  expect(applies({})).toEqual([false, false]);
  expect(applies({}, [0])).toEqual([true, false]);
  expect(applies({ isFiltered: true, excluded: ["DEL"] })).toEqual([true, true]);
  expect(applies({ existing: "keep" })).toEqual([true, false]);
});
