import { describe, expect, test } from "vitest";
import type { Redis } from "ioredis";
import { RedisServer } from "../servers/redis-server.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { preload } from "../workload/preload.ts";
import { Workload } from "../workload/workload.ts";
import { compareServers } from "./compare-servers.ts";
import { graceExpiry } from "./expiry-rule.ts";

const SECONDS_60_MS = 60_000;

/** One key of everything that can be planted a difference in; PEL times are fixed by XCLAIM. */
async function fill(client: Redis): Promise<void> {
  await client.set("string", "value");
  await client.set("expiring", "value", "PXAT", 2_840_140_800_000);
  await client.rpush("list", "a", "b", "c");
  await client.sadd("set", "a", "b", "c");
  await client.hset("hash", "f", "1", "g", "2");
  await client.zadd("zset", 1, "a", 2, "b", "inf", "c");
  await client.pfadd("hll", "a", "b", "c");
  for (const id of ["1-1", "2-1", "3-1"]) await client.xadd("stream", id, "f", id);
  await client.xgroup("CREATE", "stream", "group", "3-1");
  for (const id of ["1-1", "2-1"]) {
    await client.call(
      "XCLAIM",
      "stream",
      "group",
      "worker",
      "0",
      id,
      "TIME",
      "1700000000000",
      "RETRYCOUNT",
      "1",
      "FORCE",
      "JUSTID",
    );
  }
}

const planted: [what: string, plant: (client: Redis) => Promise<unknown>, found: Record<string, string | RegExp>][] = [
  ["a value", (c) => c.set("string", "valuf"), { string: /byte 4/ }],
  ["a type", async (c) => [await c.del("set"), await c.rpush("set", "a")], { set: /type list, expected set/ }],
  ["a missing key", (c) => c.del("hash"), { hash: /missing/ }],
  ["an extra key", (c) => c.set("more", "1"), { more: /extra/ }],
  ["an extra key that will expire", (c) => c.set("more", "1", "EX", 1000), { more: /extra/ }],
  ["an expiry 1 ms off", (c) => c.pexpireat("expiring", 2_840_140_800_001), { expiring: /expires at 2840140800001/ }],
  ["an expiry lost", (c) => c.persist("expiring"), { expiring: /no expiry/ }],
  ["an expiry too many", (c) => c.pexpireat("string", 2_840_140_800_000), { string: /expected no expiry/ }],
  ["list order", (c) => c.lmove("list", "list", "LEFT", "RIGHT"), { list: /element 0/ }],
  ["a list element doubled", (c) => c.rpush("list", "c"), { list: /4 × element, expected 3/ }],
  ["a set member", (c) => c.sadd("set", "d"), { set: /member/ }],
  ["a hash value", (c) => c.hset("hash", "g", "3"), { hash: /field/ }],
  ["a score", (c) => c.zadd("zset", "1.0000000000000002", "a"), { zset: /score/ }],
  ["a register", (c) => c.pfadd("hll", "d"), { hll: /value/ }],
  ["a stream entry", (c) => c.xdel("stream", "3-1"), { stream: /entry 2/ }],
  ["a last id", (c) => c.call("XSETID", "stream", "9-9"), { stream: /last id/ }],
  ["an acknowledgement", (c) => c.xack("stream", "group", "1-1"), { stream: /group/ }],
  [
    "a delivery count",
    (c) => c.call("XCLAIM", "stream", "group", "worker", 0, "1-1", "TIME", 1_700_000_000_000, "RETRYCOUNT", 2),
    { stream: /group/ },
  ],
  [
    "a delivery time",
    (c) => c.call("XCLAIM", "stream", "group", "worker", 0, "1-1", "TIME", 1_700_000_000_001, "JUSTID"),
    { stream: /group/ },
  ],
  [
    "a function",
    (c) => c.call("FUNCTION", "LOAD", "#!lua name=extra\nredis.register_function('f', function() return 1 end)"),
    { extra: /function/ },
  ],
];

describe("compareServers", () => {
  test("finds each planted difference, and nothing else", async () => {
    await using expected = await RedisServer.start();
    await using actual = await RedisServer.start();
    await fill(expected.client(3));
    const client = actual.client(3);
    for (const [what, plant, found] of planted) {
      await client.flushall();
      await client.call("FUNCTION", "FLUSH");
      await fill(client);
      expect((await compareServers(expected, actual)).differences, what).toEqual([]);
      await plant(client);
      const { identical, differences } = await compareServers(expected, actual);
      expect(identical, what).toBe(false);
      const matching = Object.entries(found).map(([key, text]) => ({
        db: what === "a function" ? -1 : 3,
        key,
        what: expect.stringMatching(text),
      }));
      expect(differences, what).toEqual(matching);
    }
  });

  test("other encodings of the same content are no difference", async () => {
    await using expected = await RedisServer.start({ config: { "hll-sparse-max-bytes": "0", "list-max-listpack-size": "1" } });
    await using actual = await RedisServer.start({
      config: { "hash-max-listpack-entries": "0", "zset-max-listpack-entries": "0" },
    });
    for (const server of [expected, actual]) await fill(server.client());
    await expected.client().pfcount("hll");
    expect((await compareServers(expected, actual)).differences).toEqual([]);
  });

  test("a database too many, keys left out, and the limit of what is listed", async () => {
    await using expected = await RedisServer.start();
    await using actual = await RedisServer.start();
    for (let index = 0; index < 20; index++) await actual.client(7).set(`key \n${index}`, "1");
    await actual.client().set("sluice:{a}:mark", "1");
    const all = await compareServers(expected, actual, { maxDifferences: 5 });
    expect(all).toMatchObject({
      identical: false,
      keys: 0,
      differenceCount: 20,
      perDatabase: { 7: { expected: 0, actual: 20 } },
    });
    expect(all.differences).toHaveLength(5);
    expect(all.differences[0]?.key).toMatch(/^key \\x0a\d+$/);
    expect((await compareServers(expected, actual, { ignorePrefixes: ["sluice:{", "key "] })).identical).toBe(true);
    expect((await compareServers(expected, actual, { databases: [0] })).identical).toBe(true);
    expect((await compareServers(expected, actual, { databases: [0], ignorePrefixes: [] })).identical).toBe(false);
  });

  test("a replica under mixed load ends identical, both ways", async () => {
    await using source = await RedisServer.start();
    await preload(source.client(), { keys: 4000, databases: [0, 1], seed: 31 });
    await using replica = await RedisServer.start({ replicaOf: source });
    await using workload = new Workload({
      url: source.url,
      seed: 31,
      ratePerSecond: 5000,
      databases: [0, 1],
      keysPerKind: 200,
    });
    await workload.start();
    await waitUntil("4 s of load, so that keys expire", () => workload.report().seconds > 4);
    await workload.stop();
    await replica.waitForSync();
    const progress: number[] = [];
    const there = await compareServers(replica, source, { source, onProgress: ({ done }) => progress.push(done) });
    expect(there.differences).toEqual([]);
    expect(there.keys).toBeGreaterThan(3000);
    expect(progress.at(-1)).toBe(there.keys);
    expect((await compareServers(source, replica)).differences).toEqual([]);
  });

  test("a key that has expired, but whose DEL is under way, is waited for; with a source it is hastened", async () => {
    const config = { "repl-ping-replica-period": "1" };
    await using source = await RedisServer.start({ config });
    await using oracle = await RedisServer.start({ replicaOf: source });
    await using actual = await RedisServer.start();
    const graceMs = 600_000;
    const expiryOf = graceExpiry(graceMs);
    await source.client().call("DEBUG", "SET-ACTIVE-EXPIRE", "0");
    const expiryMs = Date.now() + 300;
    await source.client().set("short", "1", "PXAT", expiryMs);
    await source.client().set("long", "1", "PXAT", expiryMs + SECONDS_60_MS);
    await oracle.waitForSync();
    await actual.client().set("short", "1", "PXAT", expiryOf(expiryMs));
    await actual.client().set("long", "1", "PXAT", expiryOf(expiryMs + SECONDS_60_MS));
    await waitUntil("the oracle hides the key", async () => (await oracle.client().exists("short")) === 0);

    const idle = await compareServers(oracle, actual, { graceMs, settleMs: 200 });
    expect(idle.differences).toEqual([{ db: 0, key: "short", what: expect.stringMatching(/^extra/) }]);

    // What a pipeline would do: carry the source's DEL over as soon as it comes.
    const carried = waitUntil("the source deletes the key", async () => (await source.client().dbsize()) === 1).then(() =>
      actual.client().del("short"),
    );
    const hastened = await compareServers(oracle, actual, { expiryOf, source, settleMs: 10_000 });
    await carried;
    expect(hastened.differences).toEqual([]);
    expect((await compareServers(oracle, actual)).differences).toEqual([
      { db: 0, key: "long", what: expect.stringMatching(/expires at/) },
    ]);
  });
});
