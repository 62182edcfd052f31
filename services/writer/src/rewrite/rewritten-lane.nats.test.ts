import { RedisCluster, RedisServer, waitUntil } from "@sluice/testkit";
import { parseMark, recordKey, shardRecord, topologyRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { ReplyTamperer } from "../apply/reply-tamperer.sample.ts";
import { SourceLane } from "../repair/source-lane.sample.ts";
import { WatchedLane } from "../watched-lane.sample.ts";
import { LaneServers } from "../lane-servers.sample.ts";

const servers = LaneServers.forThisFile();

const unit = (end: number, ...commands: readonly string[]) => ({ end, commands });

// Mutations: live-phase.ts, `#wantedOf` gives what is projected; judge-span.ts, `rewriting` not applied (the hash is of another type than HSETEX says);
// lane-writer.ts, `count` of the lane not told.
test("applied-once: what Redis 7.0 lacks is written in other commands, also behind a writer that was lost", async () => {
  await servers.redis.client().flushall();
  await using tamperer = await ReplyTamperer.start(servers.redis.port);
  await using lane = await WatchedLane.open(servers.bus);
  lane.unsupported = "skip";
  lane.write("standalone", tamperer.port);
  await lane.changes(100, unit(110, "HSET h a 1 b 2"), unit(120, "MSETEX 2 x 1 y 2", "INCR n", "HGETDEL h FIELDS 1 b"));
  await waitUntil("they are applied", async () => lane.isAt(120));
  expect(await servers.redis.client().mget("x", "y", "n")).toEqual(["1", "2", "1"]);
  expect(await servers.redis.client().hgetall("h")).toEqual({ a: "1" });
  tamperer.tamper = ({ args }) => (args[0] === "EXEC" ? { drop: true } : null);
  await lane.changes(
    120,
    unit(130, "MSETEX 2 x 5 y 6 KEEPTTL", "INCR n"),
    unit(140, "HSETEX h PXAT 4102444800000 FIELDS 1 c 3", "INCR n"),
  );
  await waitUntil("they are in the destination, and nobody knows", async () => {
    return parseMark((await servers.redis.client().get(lane.markKey)) ?? "").offset === 140;
  });
  await lane.stop();
  tamperer.tamper = () => null;
  lane.write("standalone", tamperer.port);
  await lane.changes(140, unit(150, "VADD v VALUES 1 1 e"), unit(160, "SET x 7 IFEQ 5", "UNLINK y"));
  await waitUntil("it goes on", async () => lane.isAt(160));
  expect(await servers.redis.client().mget("x", "y", "n")).toEqual(["7", null, "3"]);
  expect(await servers.redis.client().hgetall("h")).toEqual({ a: "1", c: "3" });
  expect((await lane.record())?.unsupported).toBe(2);
  expect(lane.warnings).toEqual(
    expect.arrayContaining([expect.stringMatching(/^main lacks VADD \(Redis 8\.0\), which is left out: key v of database 0$/)]),
  );
});

// Mutation: rewriting.ts, `unsupported` not asked.
test("a command that the destination lacks halts its lane in front of its unit, and is left out once that is asked for", async () => {
  await servers.redis.client().flushall();
  await using lane = await WatchedLane.open(servers.bus);
  lane.write("standalone", servers.redis.port);
  await lane.changes(100, unit(110, "INCR n"));
  await waitUntil("it is applied", async () => lane.isAt(110));
  await lane.changes(110, unit(120, "INCR n", "VADD v VALUES 1 1 e"));
  await lane.ended();
  const message = "main lacks VADD (Redis 8.0), of the unit of lane main.s0.0 that ends at offset 120: key v of database 0";
  expect((await lane.record())?.halt).toMatchObject({ code: "DST-026", message: expect.stringContaining(message) as string });
  expect(await servers.redis.client().get("n")).toBe("1");
  lane.unsupported = "skip";
  lane.write("standalone", servers.redis.port);
  await waitUntil("it goes on", async () => lane.isAt(120));
  expect(await servers.redis.client().get("n")).toBe("2");
  expect((await lane.record())?.unsupported).toBe(1);
});

// Mutations: rewriting.ts, no REFUSED; scripts.ts, REFUSED answers ERR (DST-007).
test("with repair, the keys of a command whose result only the source knows come from there", async () => {
  await servers.redis.client().flushall();
  await using source = await SourceLane.start(RedisServer);
  await using lane = await WatchedLane.open(servers.bus);
  const client = source.server.client();
  await client.mset("to", "the result", "x", "1", "y", "2", "z", "3");
  const info = await client.info("replication");
  const replid = /master_replid:(\w+)/.exec(info)?.[1] ?? "";
  const { port } = source.server;
  const shards = [{ id: "s0", host: "127.0.0.1", port, slots: "0-16383", floor: 0 }];
  await servers.bus.records.put(recordKey.topology(lane.pipeline), topologyRecord, {
    mode: "standalone",
    lanes: 1,
    shards,
    events: [],
  });
  const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
  const signs = { retry: null, halt: null, at: 1, copied, commands: 0, bytes: 0, term: 1, instance: "i", db: 0, copy: 1 };
  const shard = { ...signs, epoch: 1, phase: "streaming" as const, replid, storedOffset: 120 };
  await servers.bus.records.put(recordKey.shard(lane.pipeline, "s0"), shardRecord, shard);
  while (Number(/master_repl_offset:(\d+)/.exec(await client.info("replication"))?.[1]) < 130) await client.incr("else");
  lane.divergence = { policy: "repair", source: { host: "127.0.0.1", port } };
  lane.write("standalone", servers.redis.port);
  await lane.changes(100, unit(110, "MSET x 1 y 2 z 3"), unit(120, "BITOP ONE to x y z"));
  await waitUntil("it is repaired", async () => (await lane.record())?.repairedKeys === 4);
  expect(await servers.redis.client().get("to")).toBe("the result");
  expect((await lane.record())?.unsupported).toBeUndefined();
});

// Mutation: cluster-lane.ts, abilities of no server (`new Abilities({ version: 90000, … })`).
test("in a cluster, too: by other commands and by a script", async () => {
  await using cluster = await RedisCluster.start({ primaries: 2 });
  await using lane = await WatchedLane.open(servers.bus);
  lane.write("cluster", cluster.nodes[0]?.port ?? 0);
  const client = cluster.client();
  await lane.changes(
    100,
    unit(110, "XADD s 1-1 f v"),
    unit(120, "XADD s 2-1 f v"),
    unit(130, "XGROUP CREATE s g 0"),
    unit(140, "XCLAIM s g a 0 1-1 TIME 1 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1"),
    unit(150, "XDELEX s DELREF IDS 1 1-1"),
    unit(160, "MSETEX 2 {a}x 1 {a}y 2 NX", "INCR {a}n"),
    unit(170, "HSET h a 1 b 2"),
    unit(180, "HGETDEL h FIELDS 1 a"),
    unit(190, "XADD t 1-1 f v"),
    unit(200, "XADD t 2-1 f v"),
    unit(210, "XGROUP CREATE t g 0"),
    unit(220, "XGROUP CREATE t o 0"),
    unit(230, "XCLAIM t g a 0 1-1 TIME 1 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1"),
    unit(240, "XCLAIM t o a 0 1-1 TIME 1 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1"),
    // Mutation: stream-rules.ts, `isOfSome` always false: the entry that the group has not got is deleted.
    unit(250, "XACKDEL t g DELREF IDS 2 1-1 2-1"),
  );
  await waitUntil("they are applied", async () => lane.isAt(250));
  expect(await client.xrange("t", "-", "+")).toEqual([["2-1", ["f", "v"]]]);
  expect(await client.xpending("t", "o")).toEqual([0, null, null, null]);
  expect(await client.xrange("s", "-", "+")).toEqual([["2-1", ["f", "v"]]]);
  expect(await client.xpending("s", "g")).toEqual([0, null, null, null]);
  expect(await client.mget("{a}x", "{a}y", "{a}n")).toEqual(["1", "2", "1"]);
  expect(await client.hgetall("h")).toEqual({ b: "2" });
});
