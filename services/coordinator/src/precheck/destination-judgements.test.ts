import { expect, test } from "vitest";
import { destinationCommands, judgeCommands } from "./destination/commands.ts";
import { destinationDatabases, judgeDatabaseNumbers } from "./destination/databases.ts";
import { destinationEmpty } from "./destination/empty.ts";
import { destinationFormerGroup } from "./destination/former-group.ts";
import { destinationMemory, judgeMemory, shareOf } from "./destination/memory.ts";
import { destinationModules, judgeModulesThere } from "./destination/modules.ts";
import { destinationVersion, judgeVersions } from "./destination/version.ts";
import { destinationWritable, judgeWritable } from "./destination/writable.ts";
import { parseModules } from "./probe/loaded-modules.ts";
import type { ServerState } from "./probe/server-state.ts";
import { redisState, stateOf, told, used, valkeyState } from "./told.sample.ts";

// Mutation: versions.ts, `lostKinds`: what the source can't hold is not left out, or the fork is not looked at.
test("version: what the older destination can't hold is named, and told apart by whether it is used", () => {
  const look = (from: ServerState, to: ServerState, policy: "halt" | "skip" = "halt") =>
    judgeVersions(from, to, from.calls, policy);
  const judge = (from: ServerState, to: ServerState): string => told(destinationVersion, look(from, to));
  const fix = "Upgrade the destination. With `unsupported: skip`";
  expect(judge(redisState("2.8.24"), redisState("7.0.15"))).toBe("pass");
  // Other encodings are built from their elements.
  expect(judge(redisState("7.2.6"), redisState("7.0.15"))).toBe("pass");
  expect(judge(redisState("3.2.13"), redisState("3.0.7"))).toBe("pass");
  expect(look(redisState("5.0.14"), redisState("4.0.14")).found).toContain("streams");
  expect(judge(redisState("5.0.14"), redisState("4.0.14"))).toContain(`warn: ${fix}`);
  const streams = redisState("5.0.14", ...used("xadd"));
  expect(judge(streams, redisState("4.0.14"))).toContain(`fail: ${fix}`);
  expect(look(streams, redisState("4.0.14"), "skip").level).toBe("warn");
  expect(judge(redisState("8.0.6"), valkeyState("8.1.1"))).toContain(`warn: ${fix}`);
  expect(judge(redisState("7.4.1", ...used("hexpire")), valkeyState("8.1.1"))).toContain(`fail: ${fix}`);
  expect(judge(redisState("7.4.1", ...used("hexpire")), valkeyState("9.1.2"))).toBe("pass");
  expect(judge(valkeyState("9.1.2"), redisState("7.4.1"))).toBe("pass");
  expect(judge(valkeyState("9.1.2", ...used("hexpire")), redisState("7.2.6"))).toContain(`fail: ${fix}`);
  expect(judge(redisState("2.8.24"), redisState("2.8.24"))).toBe("fail: Upgrade the destination.");
});

test("a command that is missing fails where nothing works without, and warns where clients use it", () => {
  const none = new Map<string, string>();
  const facts = { refused: none, missing: [] as string[], calls: new Map<string, number>() };
  const judge = (change: object) => {
    const look = judgeCommands({ ...facts, ...change });
    return [told(destinationCommands, look), look.found];
  };
  expect(judge({})[0]).toBe("pass");
  expect(judge({ missing: ["PEXPIREAT"] })).toEqual([
    expect.stringContaining("fail: `ACL SETUSER <user> ~* &* +@read +@write"),
    expect.stringContaining("PEXPIREAT"),
  ]);
  const refused = new Map([["SET", "NOPERM no permissions to run the 'set' command"]]);
  expect(judge({ refused })).toEqual([
    expect.stringContaining("fail: `ACL SETUSER <user> ~* &* +@read +@write"),
    expect.stringContaining("not allowed: SET. The server says: NOPERM"),
  ]);
  expect(judge({ missing: ["COPY"] })).toEqual(["pass", expect.stringContaining("COPY")]);
  expect(judge({ missing: ["COPY"], calls: new Map([["COPY", 7]]) })).toEqual([
    expect.stringContaining("warn: Upgrade the destination, or stop the clients that use them"),
    expect.stringContaining("COPY (Redis 6.2, Valkey 7.2) 7"),
  ]);
  const calls = new Map(["UNLINK", "RESTORE", "HSETEX", "HGETEX"].map((name) => [name, 3]));
  expect(judge({ missing: ["UNLINK", "RESTORE", "HSETEX", "SWAPDB"], calls })).toEqual([
    "pass",
    "all are allowed; for UNLINK, RESTORE, HSETEX, which it lacks, others are written that leave the same; it lacks SWAPDB, which nobody has used",
  ]);
  expect(judge({ missing: ["UNLINK", "HSETEX", "HGETEX", "HPEXPIREAT"], calls })).toEqual([
    expect.stringContaining("warn: Upgrade the destination"),
    expect.stringMatching(/HSETEX \(Redis 8\.0, Valkey 9\.0\) 3.*HGETEX/),
  ]);
  expect(judge({ refused: null })[0]).toMatch(/^warn: Let the user run ACL WHOAMI and ACL DRYRUN/);
});

test("modules of the source that it lacks, or has in an older version, warn", () => {
  const source = parseModules([
    ["name", "ReJSON", "ver", 20_607, "path", "", "args", []],
    [Buffer.from("name"), Buffer.from("bf"), Buffer.from("ver"), 1],
  ]);
  const judge = (there: Map<string, number>): string => told(destinationModules, judgeModulesThere(source, there));
  const fix = "warn: Load the modules that are missing, or leave out the keys that need them (`keys`).";
  expect(judge(new Map([["bf", 1]]))).toBe(fix);
  expect(judge(new Map([...source, ["bf", 0]]))).toBe(fix);
  expect(judge(new Map(source))).toBe("pass");
});

test("memory: one without room for its share fails; without maxmemory the machine counts", () => {
  const judge = (line: string, neededBytes: number, isFilled = false): string =>
    told(destinationMemory, judgeMemory(stateOf("used_memory:100", line), neededBytes, isFilled));
  expect(judge("maxmemory:300", 100)).toBe("pass");
  expect(judge("maxmemory:300", 250)).toBe("fail: Raise `maxmemory`, add shards, or copy less (`keys`).");
  expect(judge("maxmemory:300", 250, true)).toBe("pass");
  expect(judge("total_system_memory:300", 250)).toMatch(/^warn: Give the destination a larger machine or more shards/);
  expect(judge("total_system_memory:900", 250)).toBe("pass");
  expect(shareOf("0-8191")).toBe(0.5);
});

test("one that takes no writes fails, whatever keeps it from them", () => {
  const judge = (lines: string[], least: number | null, stops: boolean | null): string =>
    told(destinationWritable, judgeWritable(stateOf(...lines), least, stops));
  expect(judge(["min_slaves_good_slaves:1"], 1, null)).toBe("pass");
  expect(judge(["min_slaves_good_slaves:1"], 2, null)).toMatch(/^fail: Bring its replicas back, or `CONFIG SET min-rep/);
  expect(judge(["rdb_last_bgsave_status:err"], null, true)).toMatch(/^fail: See the server's log: give its disk room/);
  expect(judge(["rdb_last_bgsave_status:err"], null, false)).toBe("pass");
  expect(judge(["aof_last_write_status:err"], null, null)).toMatch(/^fail: Give its disk room/);
  const full = ["maxmemory:10", "used_memory:10", "maxmemory_policy:noeviction"];
  expect(judge(full, null, null)).toBe("fail: Raise `maxmemory`, or empty the destination.");
});

// Mutation: empty.ts, `commonIfTold` that throws: a source whose user may read no keys, which it need not, forbids the start.
test("keys that are kept pass where the source can't be asked for their names, and say so", async () => {
  const state = async () => Promise.resolve({ isLoading: false });
  const destination = {
    name: "destination main",
    spec: { group: "main", existing: "keep", databases: {}, isFiltered: false, excluded: [] },
    seed: async () => Promise.resolve({ name: "b:1", state }),
    foreign: async () => Promise.resolve([{ db: 0, where: "in database 0", keys: 2, sample: ["a", "b"] }]),
    mark: async () => Promise.resolve(null),
  };
  const databases = async () => Promise.reject(new Error("NOPERM"));
  const context = { destinations: [destination], source: { databases }, subject: {} } as never;
  expect(await destinationEmpty.run(context)).toEqual([
    { endpoint: "destination main", level: "pass", found: expect.stringContaining("the source could not be asked") as string },
  ]);
});

// Mutations: former-group.ts, `own` without the groups that share the server: two groups that were made so can't be checked again; own-marks.ts,
// `groupsMarking` without `known`: among many keys the marks are not seen.
test("marks of another group of the pipeline fail, unless both are meant to be there", async () => {
  const at = (group: string, host: string) => ({ group, endpoint: { host, port: 1 } });
  const look = async (marks: readonly string[], others: readonly object[], knownGroups: readonly string[]) => {
    const askAnew = async (_: string, key: string) =>
      Promise.resolve(marks.some((group) => key.endsWith(`:p:${group}:s0.3`)) ? Buffer.from("m") : null);
    const server = { slots: "0-16383", askAnew, ask: async () => Promise.resolve(["0", []]) };
    const destination = {
      name: "destination main",
      spec: { group: "main" },
      endpoint: { host: "b", port: 1 },
      seed: async () => Promise.resolve({ name: "b:1", state: async () => Promise.resolve({ isLoading: false }) }),
      isCluster: async () => Promise.resolve(false),
      primaries: async () => Promise.resolve([server]),
    };
    const subject = { name: "p", lanes: 4, destinations: [at("main", "b"), ...others], knownGroups };
    const [found] = await destinationFormerGroup.run({ destinations: [destination], subject } as never);
    return [found?.level, found?.found];
  };
  expect((await look(["main"], [], ["main", "old"]))[0]).toBe("pass");
  expect(await look(["old", "main"], [], ["main", "old"])).toEqual([
    "fail",
    expect.stringContaining("group old of this pipeline"),
  ]);
  expect((await look(["more"], [at("more", "b")], ["main", "more"]))[0]).toBe("pass");
  expect((await look(["more"], [at("more", "elsewhere")], ["main", "more"]))[0]).toBe("fail");
});

test("databases count behind the filter and the map", () => {
  const facts = { held: [0, 3], copied: null, map: {}, isCluster: true, count: null };
  const judge = (change: object): string =>
    told(destinationDatabases, judgeDatabaseNumbers({ ...facts, ...change }, "a:1", "b:1"));
  const fix = "fail: Name the databases to copy (`source.databases`), give them other numbers (`databases`";
  expect(judge({})).toContain(fix);
  expect(judge({ copied: [0] })).toBe("pass");
  expect(judge({ map: { "3": 0 } })).toBe("pass");
  expect(judge({ isCluster: false, count: 3 })).toContain(fix);
  expect(judge({ isCluster: false, count: 4 })).toBe("pass");
  expect(judge({ isCluster: false, count: 3, map: { "3": 1 } })).toBe("pass");
});
