import { ReplyError, type Reply } from "@sluice/redis";
import { describe, expect, test } from "vitest";
import { queueAndDiscard, type AskedCommand } from "./allowed-commands.ts";
import { judgeJetStream } from "./bus/jetstream.ts";
import { judgeMaxPayload } from "./bus/max-payload.ts";
import { judgePermissions } from "./bus/permissions.ts";
import { judgePowerLoss } from "./bus/power-loss.ts";
import { judgeReplicas } from "./bus/replicas.ts";
import { judgeStorage } from "./bus/storage.ts";
import { judgeBusVersion } from "./bus/version.ts";
import { judgeCommands } from "./destination/commands.ts";
import { judgeDatabaseNumbers } from "./destination/databases.ts";
import { destinationLoaded } from "./destination/loaded.ts";
import { judgeMemory, shareOf } from "./destination/memory.ts";
import { judgeModulesThere } from "./destination/modules.ts";
import { judgeVersions } from "./destination/version.ts";
import { judgeWritable } from "./destination/writable.ts";
import { circleOf } from "./pipeline-circle.ts";
import type { Finding, Look, Precheck, PrecheckContext } from "./precheck.ts";
import { commandRow } from "./probe/command-rows.ts";
import { parseModules } from "./probe/loaded-modules.ts";
import { ownerOf } from "./probe/own-marks.ts";
import { ServerState, versionOf } from "./probe/server-state.ts";
import { bytesText, listText, spanText } from "./quantity.ts";
import { merged } from "./server-check.ts";
import { judgeForkMemory } from "./source/fork-memory.ts";
import { sourceLoaded } from "./source/loaded.ts";
import { judgeModules } from "./source/modules.ts";
import { judgeOutputBuffer, parseOutputBufferLimit } from "./source/output-buffer.ts";
import { judgePsync } from "./source/psync-allowed.ts";
import { judgeScripts } from "./source/scripts.ts";
import { judgeSourceVersion } from "./source/version.ts";

/** What INFO says: the given lines, of a Redis 7.0.15 that is a primary unless they say otherwise. */
const state = (...lines: string[]): ServerState =>
  new ServerState(["redis_version:7.0.15", "role:master", ...lines].join("\r\n"));
const redis = (version: string, ...lines: string[]): ServerState => state(`redis_version:${version}`, ...lines);
const valkey = (version: string, ...lines: string[]): ServerState =>
  state("redis_version:7.2.4", "server_name:valkey", `valkey_version:${version}`, ...lines);
const level = ({ level: found }: Look): string => found;
const used = (...commands: string[]): string[] => commands.map((command) => `cmdstat_${command}:calls=3,usec=1`);

describe("a server's state", () => {
  test("is read from INFO of any version", () => {
    const found = state(
      "db0:keys=12,expires=0",
      "db3:keys=1,expires=1,avg_ttl=5",
      "cmdstat_config|get:calls=2,usec=1",
      "cmdstat_config|set:calls=1,usec=1",
      "cmdstat_get:calls=0,usec=0",
      "slave0:ip=10.0.0.7,port=6379,state=online,offset=1,lag=0",
      "slave1:ip=10.0.0.8,port=0,state=online,offset=0,lag=0",
    );
    expect([...found.keyspace]).toEqual([
      [0, 12],
      [3, 1],
    ]);
    expect([...found.calls]).toEqual([["CONFIG", 3]]);
    expect(found.replicas).toBe(1);
    expect([found.product, valkey("8.1.1").product]).toEqual(["Redis 7.0.15", "Valkey 8.1.1"]);
    expect([versionOf("2.8.24"), versionOf("8.0"), versionOf("unstable")]).toEqual([20_824, 80_000, 0]);
    expect(found.number("no_such_field")).toBeNull();
  });
});

describe("versions", () => {
  test("of a source: too old fails, unknown ones and what only its own kind reads warn", () => {
    for (const version of ["2.8.24", "3.2.13", "6.2.16", "7.4.1", "8.0.6"])
      expect(level(judgeSourceVersion(redis(version)))).toBe("pass");
    expect(level(judgeSourceVersion(redis("2.6.17")))).toBe("fail");
    expect(level(judgeSourceVersion(redis("8.4.0")))).toBe("warn");
    expect(level(judgeSourceVersion(redis("9.0.0")))).toBe("warn");
    expect(level(judgeSourceVersion(redis("unstable")))).toBe("warn");
    expect(level(judgeSourceVersion(valkey("8.1.1", ...used("hexpire"))))).toBe("pass");
    expect(level(judgeSourceVersion(valkey("9.1.2")))).toBe("pass");
    expect(judgeSourceVersion(valkey("9.1.2", ...used("hexpire")))).toMatchObject({
      level: "warn",
      fix: expect.stringContaining("HPERSIST") as string,
    });
  });

  test("of both: what the older destination could not read is named, and told apart by whether it is used", () => {
    const judge = (from: ServerState, to: ServerState) => judgeVersions(from, to, from.calls);
    expect(level(judge(redis("2.8.24"), redis("7.0.15")))).toBe("pass");
    expect(level(judge(redis("7.0.15"), redis("7.0.2")))).toBe("pass");
    expect(judge(redis("7.2.6"), redis("7.0.15"))).toMatchObject({
      level: "fail",
      found: expect.stringContaining("set listpack") as string,
    });
    expect(judge(redis("5.0.14"), redis("4.0.14"))).toMatchObject({
      level: "warn",
      found: expect.stringContaining("stream") as string,
    });
    expect(level(judge(redis("5.0.14", ...used("xadd")), redis("4.0.14")))).toBe("fail");
    expect(level(judge(redis("8.0.6"), valkey("8.1.1")))).toBe("warn");
    expect(level(judge(redis("7.4.1", ...used("hexpire")), valkey("8.1.1")))).toBe("fail");
    expect(level(judge(valkey("9.1.2"), redis("7.2.6")))).toBe("pass");
    expect(level(judge(redis("2.8.24"), redis("2.8.24")))).toBe("fail");
  });
});

describe("permissions, asked without running anything", () => {
  const psync: AskedCommand = ["PSYNC", "?", "-1"];
  const exec: AskedCommand = ["EXEC"];
  /** A server that answers by the first word, and what it was asked in which order. */
  function server(answers: Readonly<Record<string, Reply>>) {
    const asked: string[] = [];
    const call = async (args: readonly string[]): Promise<Reply> => {
      asked.push(args.join(" "));
      const answer = answers[args[0] ?? ""] ?? "QUEUED";
      if (answer instanceof ReplyError) throw answer;
      return Promise.resolve(answer);
    };
    return { asked, call };
  }

  test("commands are queued between MULTI and DISCARD; what is refused then is told", async () => {
    const answers = {
      MULTI: "OK",
      PSYNC: new ReplyError("NOPERM this user has no permissions to run the 'psync' command"),
      EXEC: new ReplyError("ERR EXEC without MULTI"),
    };
    const { asked, call } = server(answers);
    const found = await queueAndDiscard({ call }, [psync, ["REPLCONF"], exec]);
    expect(asked).toEqual(["EXEC", "MULTI", "PING", "PSYNC ? -1", "REPLCONF", "DISCARD"]);
    expect([...found.refused.keys()]).toEqual([psync]);
    expect(judgePsync("a:1", found)).toMatchObject({ level: "fail", found: expect.stringContaining("NOPERM") as string });
    const allowed = server({ MULTI: "OK" });
    expect(level(judgePsync("a:1", await queueAndDiscard(allowed, [psync])))).toBe("pass");
    const renamed = server({ MULTI: "OK", PSYNC: new ReplyError("ERR unknown command 'PSYNC'") });
    expect(level(judgePsync("a:1", await queueAndDiscard(renamed, [psync])))).toBe("fail");
  });

  test("nothing but MULTI is sent where no transaction opens, and nothing but a PING where nothing is queued", async () => {
    const shut = server({ MULTI: new ReplyError("NOPERM no permissions to run the 'multi' command") });
    expect((await queueAndDiscard(shut, [psync])).isTold).toBe(false);
    expect(shut.asked).toEqual(["MULTI"]);
    const refused = await queueAndDiscard(shut, [["MULTI"], psync]);
    expect([refused.isTold, [...refused.refused.values()]]).toEqual([
      true,
      ["NOPERM no permissions to run the 'multi' command"],
    ]);
    const proxy = server({ MULTI: "OK", PING: "PONG" });
    expect((await queueAndDiscard(proxy, [psync])).isTold).toBe(false);
    expect(proxy.asked).toEqual(["MULTI", "PING"]);
  });

  test("a command that is missing fails where nothing works without, and warns where clients use it", () => {
    const none = new Map<string, string>();
    const facts = { refused: none, missing: [] as string[], calls: new Map<string, number>() };
    expect(level(judgeCommands(facts))).toBe("pass");
    expect(judgeCommands({ ...facts, missing: ["RESTORE"] })).toMatchObject({
      level: "fail",
      found: expect.stringContaining("RESTORE") as string,
    });
    expect(judgeCommands({ ...facts, missing: ["COPY"] })).toMatchObject({
      level: "pass",
      found: expect.stringContaining("COPY") as string,
    });
    const calls = new Map([["COPY", 7]]);
    expect(judgeCommands({ ...facts, missing: ["COPY"], calls })).toMatchObject({
      level: "warn",
      found: expect.stringContaining("COPY 7") as string,
    });
    expect(judgeCommands({ ...facts, refused: null })).toMatchObject({
      level: "warn",
      fix: expect.stringContaining("ACL DRYRUN") as string,
    });
  });
});

describe("servers that load", () => {
  const serverThat = (...lines: string[]) => ({ name: "h:1", state: async () => Promise.resolve(state(...lines)) });
  const contextOf = (server: object): PrecheckContext => {
    const servers = async () => Promise.resolve([server]);
    const deployment = {
      name: "source",
      primaries: servers,
      replicas: servers,
      labelOf: async () => Promise.resolve("source"),
    };
    const context = {
      subject: { read: "replica" },
      source: deployment,
      destinations: [{ ...deployment, name: "destination main" }],
    };
    return context as unknown as PrecheckContext;
  };
  const levels = async (check: Precheck, ...lines: string[]) => (await check.run(contextOf(serverThat(...lines)))).map(level);

  test("fail on both sides; so does a replica that is read and has lost its primary", async () => {
    for (const check of [sourceLoaded, destinationLoaded]) {
      expect(await levels(check, "loading:0")).toEqual(["pass"]);
      expect(await levels(check, "loading:1")).toContain("fail");
    }
    expect(await levels(sourceLoaded, "role:slave", "master_link_status:down")).toContain("fail");
    expect(await levels(sourceLoaded, "role:slave", "master_link_status:up")).toEqual(["pass"]);
  });
});

describe("the source", () => {
  test("scripts that are replicated word for word warn where they are used", () => {
    const scripts = used("eval", "evalsha");
    expect(level(judgeScripts(redis("4.0.14"), null))).toBe("pass");
    expect(judgeScripts(redis("4.0.14", ...scripts), null)).toMatchObject({
      level: "warn",
      found: expect.stringContaining("EVAL 3, EVALSHA 3") as string,
    });
    expect(level(judgeScripts(redis("6.2.16", ...scripts), "yes"))).toBe("pass");
    expect(level(judgeScripts(redis("6.2.16", ...scripts), "no"))).toBe("warn");
    expect(level(judgeScripts(redis("7.0.15", ...scripts), null))).toBe("pass");
  });

  test("modules warn, and their writes fail where they are used", () => {
    expect(level(judgeModules([], []))).toBe("pass");
    expect(level(judgeModules(["ReJSON"], []))).toBe("warn");
    expect(judgeModules(["ReJSON"], [["JSON.SET", 5]])).toMatchObject({
      level: "fail",
      code: "SRC-013",
      found: expect.stringContaining("JSON.SET 5") as string,
    });
    const listed = parseModules([
      ["name", "ReJSON", "ver", 20_607, "path", "", "args", []],
      [Buffer.from("name"), Buffer.from("bf"), Buffer.from("ver"), 1],
    ]);
    expect([...listed]).toEqual([
      ["ReJSON", 20_607],
      ["bf", 1],
    ]);
    expect(level(judgeModulesThere(listed, new Map([["bf", 1]])))).toBe("warn");
    expect(level(judgeModulesThere(listed, new Map([...listed, ["bf", 0]])))).toBe("warn");
    expect(level(judgeModulesThere(listed, listed))).toBe("pass");
    expect(commandRow(["json.set", -4, ["write", "denyoom"], 1, 1, 1])).toEqual({ name: "JSON.SET", arity: -4, isWrite: true });
    expect(commandRow(null)).toBeNull();
  });

  test("a fork warns where memory is short, the last one failed, or it took long", () => {
    const machine = "total_system_memory:1000";
    expect(level(judgeForkMemory(state(machine, "used_memory_rss:600")))).toBe("pass");
    expect(level(judgeForkMemory(state(machine, "used_memory_rss:700")))).toBe("warn");
    expect(judgeForkMemory(state("rdb_last_bgsave_status:err"))).toMatchObject({
      level: "warn",
      fix: expect.stringContaining("overcommit") as string,
    });
    expect(judgeForkMemory(state("latest_fork_usec:900000"))).toMatchObject({
      level: "warn",
      fix: expect.stringContaining("read: replica") as string,
    });
  });

  test("an output buffer warns where more is written during the copy than it holds", () => {
    const limit = parseOutputBufferLimit("normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60")!;
    expect(limit).toEqual({ hardBytes: 268_435_456, softBytes: 67_108_864, softSeconds: 60 });
    const data = 50 * 2 ** 30;
    expect(level(judgeOutputBuffer(limit, data, { bytesPerSecond: 100_000, isUpperBound: false }))).toBe("warn");
    expect(
      level(
        judgeOutputBuffer({ hardBytes: 0, softBytes: 0, softSeconds: 0 }, data, { bytesPerSecond: 1e9, isUpperBound: false }),
      ),
    ).toBe("pass");
    expect(level(judgeOutputBuffer(limit, 2 ** 20, { bytesPerSecond: 1e6, isUpperBound: false }))).toBe("pass");
  });

  test("a circle of pipelines is found, however long", () => {
    const flows = [
      { name: "b", from: "B", to: ["C", "X"] },
      { name: "c", from: "C", to: ["A"] },
      { name: "x", from: "X", to: ["B"] },
    ];
    expect(circleOf(["B"], ["A"], flows)).toEqual(["b", "c"]);
    expect(circleOf(["B"], ["D"], flows)).toBeNull();
    expect(ownerOf("sluice:{06S}:orders:main:s0.3")).toBe("orders");
    expect(ownerOf("sluice:{06S}:orders:main")).toBe("orders");
    expect(ownerOf("sluice:x")).toBeNull();
  });
});

describe("a destination", () => {
  test("without room for its share fails; without maxmemory the machine counts", () => {
    const of = (...lines: string[]) => state("used_memory:100", ...lines);
    expect(level(judgeMemory(of("maxmemory:300"), 100, false))).toBe("pass");
    expect(level(judgeMemory(of("maxmemory:300"), 250, false))).toBe("fail");
    expect(level(judgeMemory(of("maxmemory:300"), 250, true))).toBe("pass");
    expect(level(judgeMemory(of("total_system_memory:300"), 250, false))).toBe("warn");
    expect(level(judgeMemory(of("total_system_memory:900"), 250, false))).toBe("pass");
    expect(shareOf("0-8191")).toBe(0.5);
  });

  test("that takes no writes fails, whatever keeps it from them", () => {
    expect(level(judgeWritable(state("min_slaves_good_slaves:1"), 1, null))).toBe("pass");
    expect(level(judgeWritable(state("min_slaves_good_slaves:1"), 2, null))).toBe("fail");
    expect(level(judgeWritable(state("rdb_last_bgsave_status:err"), null, true))).toBe("fail");
    expect(level(judgeWritable(state("rdb_last_bgsave_status:err"), null, false))).toBe("pass");
    expect(level(judgeWritable(state("aof_last_write_status:err"), null, null))).toBe("fail");
    expect(level(judgeWritable(state("maxmemory:10", "used_memory:10", "maxmemory_policy:noeviction"), null, null))).toBe(
      "fail",
    );
  });

  test("databases count behind the filter and the map", () => {
    const judge = (change: object): string =>
      level(
        judgeDatabaseNumbers({ held: [0, 3], copied: null, map: {}, isCluster: true, count: null, ...change }, "a:1", "b:1"),
      );
    expect(judge({})).toBe("fail");
    expect(judge({ copied: [0] })).toBe("pass");
    expect(judge({ map: { "3": 0 } })).toBe("pass");
    expect(judge({ isCluster: false, count: 3 })).toBe("fail");
    expect(judge({ isCluster: false, count: 4 })).toBe("pass");
    expect(judge({ isCluster: false, count: 3, map: { "3": 1 } })).toBe("pass");
  });
});

describe("the bus", () => {
  const jetStream = {
    storedBytes: 0,
    storageLimitBytes: null,
    streamLimitBytes: null,
    streams: 1,
    streamCountLimit: null,
    pipelineBytes: 0,
  };
  const need = { dataBytes: 1_000, bytesPerSecond: 10, keepAppliedMs: 60_000, streamBytes: null };

  test("storage: a copy must fit, what is kept behind it should", () => {
    expect(level(judgeStorage(jetStream, need))).toBe("pass");
    expect(level(judgeStorage({ ...jetStream, storageLimitBytes: 2_000 }, need))).toBe("pass");
    expect(level(judgeStorage({ ...jetStream, storageLimitBytes: 1_500 }, need))).toBe("warn");
    expect(level(judgeStorage({ ...jetStream, storageLimitBytes: 2_000, storedBytes: 1_500 }, need))).toBe("fail");
    // What the pipeline itself holds there is no loss to it.
    expect(
      level(judgeStorage({ ...jetStream, storageLimitBytes: 2_000, storedBytes: 1_500, pipelineBytes: 1_500 }, need)),
    ).toBe("pass");
    expect(level(judgeStorage({ ...jetStream, streamLimitBytes: 900 }, need))).toBe("fail");
    expect(level(judgeStorage(jetStream, { ...need, streamBytes: 1_500 }))).toBe("warn");
  });

  test("JetStream, its streams, its copies, its messages, its permissions", () => {
    expect(level(judgeJetStream({ jetStream, jetStreamFailure: null }))).toBe("pass");
    expect(level(judgeJetStream({ jetStream: null, jetStreamFailure: "jetstream not enabled" }))).toBe("fail");
    expect(level(judgeJetStream({ jetStream: { ...jetStream, streamCountLimit: 1 }, jetStreamFailure: null }))).toBe("fail");
    expect(level(judgeBusVersion("2.9.10"))).toBe("warn");
    expect([level(judgeBusVersion("2.12.3")), level(judgeBusVersion("2.14.0-beta"))]).toEqual(["pass", "pass"]);
    expect(level(judgeReplicas({ replicas: 3, cluster: null, knownServers: 1 }))).toBe("fail");
    expect(level(judgeReplicas({ replicas: 3, cluster: "c", knownServers: 2 }))).toBe("fail");
    expect(level(judgeReplicas({ replicas: 3, cluster: "c", knownServers: 3 }))).toBe("pass");
    expect([level(judgeMaxPayload(1_024)), level(judgeMaxPayload(2 ** 17)), level(judgeMaxPayload(2 ** 20))]).toEqual([
      "fail",
      "warn",
      "pass",
    ]);
    expect([level(judgePowerLoss(1)), level(judgePowerLoss(3))]).toEqual(["warn", "pass"]);
    expect(judgePermissions(["sluice.p.precheck"])).toMatchObject({
      level: "fail",
      found: "may not publish to sluice.p.precheck",
    });
    expect(level(judgePermissions([]))).toBe("pass");
  });
});

describe("what is told of many servers", () => {
  const of = (count: number, kind: Look["level"]): Finding[] =>
    Array.from({ length: count }, (_, index) => ({ endpoint: `source h:${index}`, level: kind, found: "so" }));

  test("is one line where all is well, and bounded where it is not, the worst first", () => {
    expect(merged("source", of(900, "pass"))).toEqual([{ endpoint: "source", level: "pass", found: "so (900 servers)" }]);
    const bad = merged("source", [...of(5, "pass"), ...of(20, "warn"), ...of(2, "fail")]);
    expect(bad.map(({ level: found }) => found)).toEqual(["fail", "fail", ...Array.from({ length: 6 }, () => "warn")]);
    expect(bad.at(-1)?.found).toContain("14 more servers");
    expect(merged("source", [])).toEqual([]);
  });

  test("quantities read as people write them", () => {
    expect([bytesText(0), bytesText(300), bytesText(1_536), bytesText(150 * 2 ** 20)]).toEqual([
      "0 B",
      "300 B",
      "1.5 KiB",
      "150 MiB",
    ]);
    expect([spanText(1_500), spanText(600_000), spanText(43_200_000)]).toEqual(["1.5 s", "10 min", "12 h"]);
    expect([listText(["a", "b"]), listText(["a", "b", "c"], 1)]).toEqual(["a, b", "a and 2 more"]);
  });
});
