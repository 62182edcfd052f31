import { expect, test } from "vitest";
import { circleOf } from "./pipeline-circle.ts";
import { commandRow } from "./probe/command-rows.ts";
import { parseModules } from "./probe/loaded-modules.ts";
import { ownerOf } from "./probe/own-marks.ts";
import { judgeAttachment, sourceAttachment, type AttachmentFacts } from "./source/attachment.ts";
import { judgeForkMemory, sourceForkMemory } from "./source/fork-memory.ts";
import { isDescribed, judgeModules, sourceModules } from "./source/modules.ts";
import { hasRoom, judgeOutputBuffer, parseOutputBufferLimit, sourceOutputBuffer } from "./source/output-buffer.ts";
import { judgeScripts, sourceScripts } from "./source/scripts.ts";
import { judgeSourceVersion, sourceVersion } from "./source/version.ts";
import type { ServerState } from "./probe/server-state.ts";
import { redisState, stateOf, told, used, valkeyState } from "./told.sample.ts";

test("version: too old fails, unknown ones warn", () => {
  const judge = (state: ServerState): string => told(sourceVersion, judgeSourceVersion(state));
  const fix = "Try it: a copy that can't be read is refused whole.";
  for (const version of ["2.8.24", "3.2.13", "6.2.16", "7.4.1", "8.0.6"]) expect(judge(redisState(version))).toBe("pass");
  expect(judge(redisState("2.6.17"))).toContain(`fail: ${fix}`);
  for (const version of ["8.4.0", "9.0.0", "unstable"]) expect(judge(redisState(version))).toContain(`warn: ${fix}`);
  for (const version of ["7.2.5", "8.1.1", "9.1.2"]) expect(judge(valkeyState(version, ...used("hexpire")))).toBe("pass");
  expect(judge(valkeyState("10.0.0"))).toContain(`warn: ${fix}`);
});

test("scripts that are replicated word for word warn where they are used", () => {
  const scripts = used("eval", "evalsha");
  const judge = (state: ServerState, setting: string | null = null): string =>
    told(sourceScripts, judgeScripts(state, setting));
  expect(judge(redisState("4.0.14"))).toBe("pass");
  expect(judgeScripts(redisState("4.0.14", ...scripts), null).found).toContain("EVAL 3, EVALSHA 3");
  expect(judge(redisState("4.0.14", ...scripts))).toMatch(/^warn: `CONFIG SET lua-replicate-commands yes` \(5\.0 to 6\.2\)/);
  expect(judge(redisState("6.2.16", ...scripts), "yes")).toBe("pass");
  expect(judge(redisState("6.2.16", ...scripts), "no")).toMatch(/^warn: `CONFIG SET lua-replicate-commands yes`/);
  expect(judge(redisState("7.0.15", ...scripts))).toBe("pass");
});

test("modules warn, and their writes fail where they are used", () => {
  const fix = "Take the clients that write with these commands elsewhere";
  expect(told(sourceModules, judgeModules([], [], []))).toBe("pass");
  expect(told(sourceModules, judgeModules(["ReJSON"], [], []))).toContain(`warn: ${fix}`);
  const writes = judgeModules(["ReJSON"], [["JSON.SET", 5]], [["JSON.PUT", 2]]);
  expect(judgeModules([], [], [["FOO.PUSH", 2]])).toMatchObject({
    found: expect.stringContaining("FOO.PUSH 2, which are carried") as string,
  });
  expect(isDescribed("FOO.PUSH", ["foo.push", -3, ["write"], 1, 1, 1])).toBe(true);
  expect(isDescribed("FOO.FLUSH", ["foo.flush", 1, ["write"], 0, 0, 0])).toBe(false);
  expect(writes).toMatchObject({ code: "SRC-013", found: expect.stringContaining("JSON.SET 5") as string });
  expect(told(sourceModules, writes)).toContain(`fail: ${fix}`);
  const listed = parseModules([
    ["name", "ReJSON", "ver", 20_607, "path", "", "args", []],
    [Buffer.from("name"), Buffer.from("bf"), Buffer.from("ver"), 1],
  ]);
  expect([...listed]).toEqual([
    ["ReJSON", 20_607],
    ["bf", 1],
  ]);
  expect(commandRow(["json.set", -4, ["write", "denyoom"], 1, 1, 1])).toEqual({ name: "JSON.SET", arity: -4, isWrite: true });
  expect(commandRow(null)).toBeNull();
});

test("a fork warns where memory is short, the last one failed, or it took long", () => {
  const judge = (...lines: string[]): string => told(sourceForkMemory, judgeForkMemory(stateOf(...lines)));
  const machine = "total_system_memory:1000";
  expect(judge(machine, "used_memory_rss:600")).toBe("pass");
  expect(judge(machine, "used_memory_rss:700")).toMatch(/^warn: Set `vm\.overcommit_memory = 1` there and leave a third/);
  expect(judge("rdb_last_bgsave_status:err")).toMatch(/^warn: See the server's log: .*overcommit/);
  expect(judge("latest_fork_usec:900000")).toMatch(/^warn: Copy from a replica \(`read: replica`\)/);
});

const GIB = 2 ** 30;
const usual = parseOutputBufferLimit("normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60")!;
const lookAtBuffer = (dataBytes: number, bytesPerSecond: number, copy: object = {}, limit = usual) =>
  judgeOutputBuffer(
    limit,
    dataBytes,
    { bytesPerSecond, isUpperBound: false },
    { bytesPerSecond: null, isBraked: false, ...copy },
  );

test("an output buffer warns where more is written during the copy than it holds", () => {
  const judge = (...of: Parameters<typeof lookAtBuffer>): string => told(sourceOutputBuffer, lookAtBuffer(...of));
  const fix = 'warn: On every node: `CONFIG SET client-output-buffer-limit "replica 0 0 0"` for the time of the copy';
  expect(usual).toEqual({ hardBytes: 268_435_456, softBytes: 67_108_864, softSeconds: 60 });
  expect(judge(50 * GIB, 100_000)).toContain(fix);
  expect(judge(50 * GIB, 100_000)).not.toContain("limits.");
  expect(judge(50 * GIB, 1e9, {}, { hardBytes: 0, softBytes: 0, softSeconds: 0 })).toBe("pass");
  expect(judge(2 ** 20, 1e6)).toBe("pass");
});

// Mutations: source/output-buffer.ts: the pace left at what an unlimited copy comes at; nothing said of the brake.
test("a copy that the pipeline holds back takes longer, and more waits in the source: told with the numbers", () => {
  const judge = (...of: Parameters<typeof lookAtBuffer>): string => told(sourceOutputBuffer, lookAtBuffer(...of));
  expect(judge(GIB, 500_000)).toBe("pass");
  const slow = lookAtBuffer(GIB, 500_000, { bytesPerSecond: 2 ** 20 });
  expect(slow).toMatchObject({ level: "warn", code: "SRC-014" });
  expect(slow.found).toContain("while 1 GiB are copied (about 17 min at 1 MiB/s) clients write about 488 MiB");
  expect(slow.fix).toMatch(/replica 0 0 0.*`limits\.copyBytesPerSecond` of 6MiB or more\.$/s);
  expect(judge(GIB, 500_000, { bytesPerSecond: 6 * 2 ** 20 }), "what the fix says is enough").toBe("pass");

  expect(judge(GIB, 10_000, { isBraked: true }), "also at its slowest").toBe("pass");
  const braked = lookAtBuffer(GIB, 500_000, { isBraked: true });
  expect(braked).toMatchObject({ level: "warn", code: "SRC-014" });
  expect(braked.found).toMatch(/at 50 MiB\/s\).*but where `limits\.sourceLatency` slows it down, .*about 18 min at 977 KiB\/s/);
  expect(braked.fix).toMatch(/replica 0 0 0.*leave `limits\.sourceLatency` out\.$/s);
});

// Mutation seen to fail it: source/output-buffer.ts, `hasRoom` true where there is a limit.
test("what is written beside a copy needs room in a stream with a limit", () => {
  const room = (streamBytes: number | null, bytesPerSecond: number, pace: number | null = null): boolean =>
    hasRoom(
      GIB,
      { bytesPerSecond, isUpperBound: false },
      { streamBytes, copyLimits: { bytesPerSecond: pace, isBraked: false } },
    );
  expect([room(null, 1e9), room(GIB, 0), room(GIB, 1_000)]).toEqual([true, true, false]);
  // 1 GiB at 50 MiB/s, and half as much written meanwhile.
  expect([room(2 * GIB, 25 * 2 ** 20), room(2 * GIB - 1, 25 * 2 ** 20)]).toEqual([true, false]);
  expect(room(2 * GIB, 25 * 2 ** 20, 2 ** 20)).toBe(false);
});

// Mutations: source/attachment.ts: a backlog that is off is no fault; only the first of several doubts is told of.
test("changes alone need a backlog that is kept and long enough, and that tells the database", () => {
  const kept = ["master_replid:abc", "repl_backlog_active:1", "repl_backlog_size:1048576"];
  const judge = (lines: string[], change: Partial<AttachmentFacts> = {}): string => {
    const rate = { bytesPerSecond: 100, isUpperBound: false };
    return told(sourceAttachment, judgeAttachment({ state: stateOf(...lines), rate, ttlSeconds: 0, ...change }));
  };
  expect(judge(kept)).toBe("pass");
  expect(judge(kept, { rate: { bytesPerSecond: 0, isUpperBound: true } })).toBe("pass");
  expect(judge(["repl_backlog_active:1"])).toBe("fail: Such a source can only be copied: `mode: full+changes`.");
  expect(judge(["master_replid:abc", "repl_backlog_active:0"])).toMatch(/^fail: A source begins a backlog with its first rep/);
  const fast = { rate: { bytesPerSecond: 10_000, isUpperBound: false } };
  expect(judge(kept, fast)).toBe("warn: `CONFIG SET repl-backlog-size 6mb` on every node bears 10 min.");
  expect(judge(kept, { ttlSeconds: 3_600 })).toBe("warn: `CONFIG SET repl-backlog-ttl 0` on every node keeps it.");
  const replica = "slave0:ip=10.0.0.7,port=6379,state=online,offset=1,lag=0";
  expect(judge([...kept, replica], { ttlSeconds: 3_600 })).toBe("pass");
  const hint = /^warn: Right before the start write once in each of two databases/;
  expect(judge([...kept, "db3:keys=1,expires=0"])).toMatch(hint);
  expect(judge([...kept, ...used("select")])).toMatch(hint);
  expect(judge([...kept, ...used("select"), "cluster_enabled:1"])).toBe("pass");
  expect(judge([...kept, ...used("select")], { ttlSeconds: 60, ...fast })).toMatch(/size 6mb.*ttl 0.*two databases/);
});

test("a circle of pipelines is found, however long", () => {
  const flows = [
    { name: "b", from: "B", to: ["C", "X"] },
    { name: "c", from: "C", to: ["A"] },
    { name: "x", from: "X", to: ["B"] },
  ];
  expect(circleOf(["B"], ["A"], flows)).toEqual(["b", "c"]);
  expect(circleOf(["B"], ["D"], flows)).toBeNull();
  expect(ownerOf("sluice:{06S}:orders:main:s0.3")).toEqual({ pipeline: "orders", group: "main" });
  expect(ownerOf("sluice:{06S}:orders:main")).toEqual({ pipeline: "orders", group: "main" });
  expect(ownerOf("sluice:x")).toBeNull();
});
