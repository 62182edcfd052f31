import { ReplyError, type Reply } from "@sluice/redis";
import { describe, expect, test } from "vitest";
import { queueAndDiscard, type Allowance, type AskedCommand } from "./allowed-commands.ts";
import { destinationLoaded } from "./destination/loaded.ts";
import type { Finding, Look, Precheck, PrecheckContext } from "./precheck.ts";
import { versionOf } from "./probe/server-state.ts";
import { bytesText, listText, spanText } from "./quantity.ts";
import { merged } from "./server-check.ts";
import { sourceLoaded } from "./source/loaded.ts";
import { judgeMissing, judgePsync, sourcePsyncAllowed } from "./source/psync-allowed.ts";
import { stateOf, told, valkeyState } from "./told.sample.ts";

describe("a server's state", () => {
  test("is read from INFO of any version", () => {
    const found = stateOf(
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
    expect([found.product, valkeyState("8.1.1").product]).toEqual(["Redis 7.0.15", "Valkey 8.1.1"]);
    expect([versionOf("2.8.24"), versionOf("8.0"), versionOf("unstable")]).toEqual([20_824, 80_000, 0]);
    expect(found.number("no_such_field")).toBeNull();
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
    const fix = "ACL SETUSER <user> +psync +replconf` on every node. A managed service";
    const judge = (allowance: Allowance): string => told(sourcePsyncAllowed, judgePsync("a:1", allowance));
    expect(judgePsync("a:1", found).found).toContain("NOPERM");
    expect(judge(found)).toContain(`fail: \`${fix}`);
    const allowed = server({ MULTI: "OK" });
    expect(judge(await queueAndDiscard(allowed, [psync]))).toBe("pass");
    const renamed = server({ MULTI: "OK", PSYNC: new ReplyError("ERR unknown command 'PSYNC'") });
    expect(judge(await queueAndDiscard(renamed, [psync]))).toContain(`fail: \`${fix}`);
    expect(judge({ isTold: false, refused: new Map() })).toContain(`warn: \`${fix}`);
    expect(judgeMissing("a:1", ["PSYNC"])).toMatchObject({ level: "fail", code: "SRC-021" });
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
});

describe("servers that load", () => {
  const serverThat = (...lines: string[]) => ({ name: "h:1", state: async () => Promise.resolve(stateOf(...lines)) });
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
  const judge = async (check: Precheck, ...lines: string[]) =>
    (await check.run(contextOf(serverThat(...lines)))).map((look) => told(check, look));
  const WAIT = "fail: Wait until it is ready and run the check again; its log says how far it is.";

  test("fail on both sides; so does a replica that is read and has lost its primary", async () => {
    for (const check of [sourceLoaded, destinationLoaded]) {
      expect(await judge(check, "loading:0")).toEqual(["pass"]);
      expect(await judge(check, "loading:1")).toContain(WAIT);
    }
    expect(await judge(sourceLoaded, "role:slave", "master_link_status:down")).toContain(WAIT);
    expect(await judge(sourceLoaded, "role:slave", "master_link_status:up")).toEqual(["pass"]);
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
