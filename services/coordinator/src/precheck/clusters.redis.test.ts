import type { Endpoint } from "@sluice/redis";
import { slotTag } from "@sluice/redis";
import { silentLog, systemClock } from "@sluice/runtime";
import { RedisCluster, RedisServer, SentinelServer } from "@sluice/testkit";
import { formatMark, slotMarkKey, type PrecheckReport } from "@sluice/wire";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runPrechecks } from "./run-prechecks.ts";
import type { PrecheckSubject } from "./subject.ts";

let cluster: RedisCluster;
let server: RedisServer;
beforeAll(async () => {
  [cluster, server] = await Promise.all([RedisCluster.start({ replicas: 1 }), RedisServer.start()]);
  // Nobody takes the place of one that is paused before it was asked.
  for (const node of cluster.nodes) await node.client().config("SET", "cluster-node-timeout", "600000");
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const at = ({ port }: { port: number }): Endpoint => ({ host: "127.0.0.1", port });
const first = (): RedisServer => cluster.nodes[0]!;

async function check(
  only: string[],
  source: Endpoint,
  destination: Endpoint,
  name = "p",
): Promise<PrecheckReport & { epoch: number }> {
  const subject: PrecheckSubject = {
    name,
    mode: "full+changes",
    lanes: 16,
    source,
    read: "primary",
    databases: null,
    destinations: [
      {
        group: "main",
        endpoint: destination,
        existing: "refuse",
        unsupported: "halt",
        databases: {},
        isFiltered: false,
        excluded: [],
      },
    ],
    retryWindowMs: 43_200_000,
    keepAppliedMs: 600_000,
    streamBytes: null,
    copyLimits: { bytesPerSecond: null, isBraked: false },
    others: [],
    knownGroups: [],
  };
  const noBus = async (): Promise<never> => Promise.reject(new Error("no bus here"));
  const { report, facts } = await runPrechecks(subject, { only }, { clock: systemClock, log: silentLog(), bus: noBus });
  return { ...report, results: report.results.filter(({ endpoint }) => endpoint !== "bus"), epoch: facts.highestEpoch };
}

const briefly = ({ results }: PrecheckReport) =>
  results.map(({ endpoint, level, code, found }) => ({ endpoint, level, code, found }));

describe("a cluster", () => {
  test("that is whole passes on either side, whichever node is named, and is told of in one line a check", async () => {
    const replica = at(cluster.nodes[4]!);
    const ids = ["reachable", "credentials", "loaded", "topology", "slots-migrating", "version"];
    const source = await check(
      [...ids, "psync-allowed", "backlog"].map((id) => `source-${id}`),
      replica,
      at(server),
    );
    expect(source.results.map(({ endpoint, level }) => [endpoint, level])).toEqual(
      Array.from({ length: 8 }, () => ["source", "pass"]),
    );
    expect(source.results[0]?.found).toMatch(/^Redis 7\.\S+ \(6 servers\)$/);
    expect(source.results.map(({ found }) => found).join("\n")).toContain("3 primaries and 3 replicas, all slots served");
    const destination = await check(
      ["commands", "scripts", "memory", "databases", "mark", "empty"].map((id) => `destination-${id}`),
      at(server),
      replica,
    );
    expect(new Set(destination.results.map(({ endpoint, level }) => `${endpoint} ${level}`))).toEqual(
      new Set(["destination main pass"]),
    );
  });

  test("fails for the node that is not as it should be, and names it", async () => {
    const [, second] = await cluster.primaries();
    await second!.client().call("ACL", "SETUSER", "default", "-evalsha");
    expect(briefly(await check(["destination-scripts"], at(server), at(first())))).toEqual([
      {
        endpoint: `destination main 127.0.0.1:${second!.port}`,
        level: "fail",
        code: "DST-002",
        found: expect.stringContaining("'evalsha'") as string,
      },
    ]);
    await second!.client().call("ACL", "SETUSER", "default", "+evalsha");
    const name = slotMarkKey(slotTag(9_000), "q", "main");
    const position = { epoch: 17, copy: 1, phase: "live", shard: "s0", offset: 5, sequence: 6 } as const;
    const owner = await cluster.primaryOf(9_000);
    await owner.client().mset(name, formatMark(position), `{${slotTag(9_000)}}b`, "1");
    const other = await check(["destination-empty", "destination-other-pipeline"], at(server), at(first()));
    expect(briefly(other)).toMatchObject([
      {
        endpoint: "destination main",
        level: "fail",
        code: "DST-009",
        found: expect.stringContaining(`2 keys on 127.0.0.1:${owner.port}`) as string,
      },
      { level: "warn", found: "pipeline q writes there, or did" },
    ]);
    const own = await check(["destination-empty"], at(server), at(first()), "q");
    expect([own.results[0]?.level, own.epoch]).toEqual(["pass", 17]);
    await owner.client().flushall();
  });

  test("is not its own destination, and takes database 0 only, and commands on keys of one slot", async () => {
    const same = await check(["source-is-destination"], at(first()), at(cluster.nodes[5]!));
    expect(briefly(same)).toMatchObject([{ endpoint: "destination main", level: "fail", code: "PIP-007" }]);
    await server.client(3).set("a", "1");
    await server.client(3).rename("a", "b");
    const ids = ["destination-databases", "destination-cross-slot", "source-whole-keyspace"];
    expect(briefly(await check(ids, at(server), at(first())))).toMatchObject([
      { level: "pass" },
      { level: "fail", code: "PIP-005", found: expect.stringContaining("holds keys in database 3") as string },
      { level: "warn", found: "clients of the source use RENAME 1" },
    ]);
    await server.client().flushall();
    const flushed = await check(["source-whole-keyspace"], at(server), at(first()));
    expect(flushed.results[0]).toMatchObject({ level: "warn", fix: expect.stringContaining("lanes: 1") as string });
    expect((await check(["source-whole-keyspace"], at(server), at(server))).results[0]?.level).toBe("pass");
  });

  test("with slots that move warns on either side", async () => {
    const [from, to] = await cluster.primaries();
    const [there, here] = [
      String(await to!.client().call("CLUSTER", "MYID")),
      String(await from!.client().call("CLUSTER", "MYID")),
    ];
    await to!.client().call("CLUSTER", "SETSLOT", "100", "IMPORTING", here);
    await from!.client().call("CLUSTER", "SETSLOT", "100", "MIGRATING", there);
    const source = await check(["source-slots-migrating"], at(first()), at(server));
    const destination = await check(["destination-slots-migrating"], at(server), at(first()));
    for (const node of [from!, to!]) await node.client().call("CLUSTER", "SETSLOT", "100", "STABLE");
    for (const { results } of [source, destination]) {
      expect(results).toMatchObject([
        { level: "warn", found: "slots are moving: 100", fix: expect.stringContaining("--cluster fix") as string },
      ]);
    }
  });

  test("that is not whole fails, on either side; so does a primary that hangs, and a replica only warns", async () => {
    await using lonely = await RedisServer.start({ config: { "cluster-enabled": "yes" } });
    const broken = await check(["source-topology", "destination-topology"], at(lonely), at(lonely));
    expect(briefly(broken)).toMatchObject([
      {
        endpoint: "source",
        level: "fail",
        code: "SRC-008",
        found: expect.stringContaining("nobody serves the slots 0-16383") as string,
      },
      { endpoint: "destination main", level: "fail", code: "DST-011" },
    ]);
    const [primary] = await cluster.primaries();
    const [replica] = await cluster.replicas(primary!);
    replica!.pause();
    const warned = await check(["source-reachable"], at(cluster.nodes[1]!), at(server)).finally(() => replica!.resume());
    expect(briefly(warned)).toMatchObject([{ endpoint: `source 127.0.0.1:${replica!.port}`, level: "warn" }]);
    primary!.pause();
    const failed = await check(["source-reachable", "source-version"], at(replica!), at(server)).finally(() =>
      primary!.resume(),
    );
    expect(briefly(failed)).toMatchObject([{ endpoint: `source 127.0.0.1:${primary!.port}`, level: "fail", code: "SRC-008" }]);
    expect(failed.results).toHaveLength(1);
  });
});

test("a source behind Sentinels is found through them; one that does not answer is told of", async () => {
  await cluster.settled();
  await using sentinel = await SentinelServer.start({ primary: server });
  const servers = [at(sentinel), { host: "127.0.0.1", port: 1 }];
  const source: Endpoint = { ...at(sentinel), sentinels: { primary: "mymaster", servers } };
  const found = await check(["source-reachable", "source-topology", "source-sentinel"], source, at(first()));
  expect(briefly(found)).toMatchObject([
    { endpoint: "source sentinel 127.0.0.1:1", level: "warn" },
    { endpoint: "source", level: "pass", found: `127.0.0.1:${server.port} is a primary on its own` },
    { endpoint: "source", level: "pass", found: "found through Sentinels" },
  ]);
  const direct = await check(["source-sentinel"], at(server), at(first()));
  expect(direct.results).toMatchObject([{ level: "warn", fix: expect.stringContaining("sentinel://") as string }]);
  const unknown: Endpoint = { ...source, sentinels: { primary: "other", servers } };
  expect(briefly(await check(["source-backlog"], unknown, at(first())))).toMatchObject([
    {
      endpoint: "source",
      level: "fail",
      code: "SRC-001",
      found: expect.stringContaining('knows no primary "other"') as string,
    },
    { endpoint: "source sentinel 127.0.0.1:1", level: "warn" },
  ]);
});
