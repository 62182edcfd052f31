import { RedisServer } from "@sluice/testkit";
import { parseMark, repairedKey, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { runsOf, SourceLane } from "../repair/source-lane.sample.ts";
import { MARK, open, same, shift, start } from "./repaired-server.sample.ts";
import { ReplyTamperer } from "./reply-tamperer.sample.ts";

const REPAIRED = repairedKey(MARK);

const markOf = async (server: RedisServer): Promise<Position> => parseMark((await server.client().get(MARK)) ?? "");

// Mutations: standalone-repairs.ts, `failed`: no `taintedKeys` beyond the failed command (copied to stays wrong);
// `#addImages`: no HMSET (commands behind the mark applied twice).
test("case 51: a key of another type at the destination is taken from the source, others are not touched, and nothing runs twice", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane, told } = await open(server, source, "repair");
  await source.write("RPUSH list a");
  await source.write("INCR n");
  await lane.applyChanges(source.group());
  const client = server.client();
  await client.set("list", "planted");
  await source.write("RPUSH list b");
  await source.write("COPY list copied REPLACE");
  await source.write("INCR n");
  await source.write("INCR n");
  // The source is ahead by the time the key is read.
  for (let n = 0; n < 5; n++) await source.write(`RPUSH list later${n}`);
  await lane.applyChanges(source.group(3));
  expect(await client.lrange("list", 0, -1)).toEqual(["a", "b", "later0", "later1", "later2", "later3", "later4"]);
  expect(await client.hkeys(REPAIRED)).toEqual(expect.arrayContaining(["0:list", "0:copied"]));
  expect(await client.get("n")).toBe("2");
  expect(told).toMatchObject({ repairedKeys: 2, skippedErrors: 0 });
  expect(JSON.stringify(told.lines)).not.toContain("later");
  expect(JSON.stringify(told.lines)).not.toContain('"list"');
  await lane.applyChanges(source.group());
  await same(source, server);
  // Entries that say nothing any more are removed with the next group.
  await source.write("RPUSH list end");
  await lane.applyChanges(source.group());
  expect(await client.exists(REPAIRED)).toBe(0);
  await same(source, server);
  lane.close();
});

// Mutation: standalone-destination.ts, `CommandsFailed.isDivergence` always false → `repair` halts, too.
test.each(["halt", "skip"] as const)("case 51: the policy %s: said, and with skip the lane goes on", async (policy) => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane, told } = await open(server, source, policy);
  await server.client().set("list", "planted");
  await source.write("RPUSH list b");
  await source.write("INCR n");
  const outcome = await lane.applyChanges(source.group()).then(
    () => "applied",
    (cause: unknown) => cause,
  );
  if (policy === "halt") expect(outcome).toMatchObject({ name: "Halt", code: "DST-004" });
  else {
    expect([outcome, told.skippedErrors]).toEqual(["applied", 1]);
    await source.write("INCR n");
    await lane.applyChanges(source.group());
    expect(await server.client().get("n")).toBe("2");
  }
  expect(await server.client().get("list")).toBe("planted");
  lane.close();
});

// Mutation: standalone-lane.ts, constructor: the book is not read (`StandaloneDestination.repaired` null) → `list` doubled.
test("applied-once: a writer that takes over while a repaired key is ahead passes over what is in it, in every database", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const first = await open(server, source, "repair");
  await server.client(3).set("list", "planted");
  await source.writeIn(3, "RPUSH list b");
  await source.writeIn(3, "INCR n");
  for (let n = 0; n < 4; n++) await source.writeIn(3, `RPUSH list later${n}`, "INCR n");
  await first.lane.applyChanges(source.group(2));
  first.lane.close();
  const second = await open(server, source, "repair");
  expect(second.lane.unjudged).not.toBeNull();
  await second.lane.judge([]);
  // `list` is ahead and `n` is not: the first unit with both takes both from the source, the others are passed over.
  for (let n = 0; n < 4; n++) await second.lane.applyChanges(source.group(1));
  await same(source, server);
  expect(second.told.repairedKeys).toBe(2);
  second.lane.close();
});

test("barrier-in-order: repaired keys stand through FLUSHALL, FLUSHDB and SWAPDB that they are ahead of", async () => {
  for (const barrier of ["FLUSHALL", "FLUSHDB", "SWAPDB 0 3", "SWAPDB 3 0", "FLUSHALL; SET plain 2"]) {
    await using source = await SourceLane.start(RedisServer);
    await using server = await start(source);
    const { lane } = await open(server, source, "repair");
    await source.writeIn(3, "SET other 1");
    await lane.applyChanges(source.group());
    await server.client().set("list", "planted");
    await source.write("RPUSH list b");
    await source.write("SET plain 1");
    await source.write(...barrier.split("; "));
    await source.write("RPUSH list c");
    await source.write("INCR n");
    await lane.applyChanges(source.group(1));
    await lane.applyChanges(source.group());
    await same(source, server);
    await source.write("RPUSH list d");
    await source.write("INCR n");
    await lane.applyChanges(source.group());
    await same(source, server);
    expect(await server.client(3).keys("sluice:*")).toEqual([]);
    lane.close();
  }
});

// Mutation: key-repair.ts, `read`: source-keys' `expireAtMs` not passed on (`null`) → the key has no expiry.
test("a repaired key carries its expiry with the grace, and one that the source lacks is deleted", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane, told } = await open(server, source, "repair");
  const client = server.client();
  for (const key of ["keeps", "gone"]) await client.set(key, "planted");
  await source.write("SADD keeps 1");
  await source.write("SADD gone 1");
  const group = source.group();
  const expiry = Date.now() + 100_000;
  await source.server.client().call("PEXPIREAT", "keeps", expiry);
  await source.server.client().del("gone");
  await lane.applyChanges(group);
  expect(Number(await client.call("PEXPIRETIME", "keeps"))).toBe(shift(expiry));
  expect(await client.exists("gone")).toBe(0);
  expect(told.lines.map(({ text }) => text).toSorted()).toEqual([
    "key repaired from the source",
    "key repaired: the source has none",
  ]);
  lane.close();
});

test("a value that the destination can't read halts, and says so; another history of the source is waited for", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const plant = async (): Promise<void> => {
    await server.client().set("list", "planted");
    await source.write("RPUSH list b");
  };
  await plant();
  const other = await open(server, source, "repair", {
    history: async () => ({ epoch: 1, replid: "another", storedOffset: source.offset }),
  });
  await expect(other.lane.applyChanges(source.group())).rejects.toMatchObject({ name: "Retryable", code: "SRC-011" });
  other.lane.close();
  const gone = await open(server, source, "repair", { source: async () => ({ host: "127.0.0.1", port: 1 }) });
  await expect(gone.lane.judge(null)).resolves.toBeUndefined();
  await plant();
  const group = source.group();
  await expect(gone.lane.applyChanges(group)).rejects.toMatchObject({ name: "Retryable", code: "SRC-001" });
  gone.lane.close();
  // A copy is on its way.
  const later = await open(server, source, "repair", {
    history: async () => ({ epoch: 2, replid: "another", storedOffset: source.offset }),
  });
  await later.lane.judge(runsOf(group));
  expect(later.told.repairedKeys).toBe(0);
  later.lane.close();
});

test("the source's replica is not asked: its primary is", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using replica = await RedisServer.start({ replicaOf: source.server });
  await replica.waitForSync();
  await using server = await start(source);
  const { lane, told } = await open(server, source, "repair", {
    source: async () => ({ host: "127.0.0.1", port: replica.port }),
  });
  await server.client().set("list", "planted");
  await source.write("RPUSH list b");
  await lane.applyChanges(source.group());
  await same(source, server);
  expect(told.repairedKeys).toBe(1);
  lane.close();
});

test("mark-with-data: a mark says up to where replies were read, and an idle lane that all of them are", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane } = await open(server, source, "halt");
  const before = source.position;
  await source.write("INCR n");
  await lane.applyChanges(source.group());
  expect(await markOf(server)).toEqual({ ...source.position, judged: { offset: before.offset, sequence: before.sequence } });
  expect(lane.safeSequence).toBe(before.sequence);
  await lane.confirm();
  expect(await markOf(server)).toEqual(source.position);
  expect(lane.safeSequence).toBe(source.position.sequence);
  lane.close();
});

// Mutation: standalone-repairs.ts, `judge`: no short cut for `isLifted` (`n`, which a type does not speak against, is not taken).
test("a lane that halted, started again with repair: every key of what ran together is taken from the source", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane } = await open(server, source, "halt");
  await server.client().set("list", "planted");
  await source.write("RPUSH list b");
  await source.write("INCR n");
  const group = source.group();
  await expect(lane.applyChanges(group)).rejects.toMatchObject({ code: "DST-004" });
  lane.close();
  const again = await open(server, source, "repair", { isLifted: true });
  await again.lane.judge(runsOf(group));
  expect(again.told.repairedKeys).toBe(2);
  await same(source, server);
  again.lane.close();
});

// Mutation: key-repair.ts, `read`: only the first keys are read.
test("many keys at once are taken from the source some at a time, and later units fit all of them", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane, told } = await open(server, source, "repair");
  const keys = Array.from({ length: 300 }, (_, n) => `list${n}`);
  await server.client().mset(Object.fromEntries(keys.map((key) => [key, "planted"])));
  for (const key of keys) await source.write(`RPUSH ${key} 1`);
  const group = source.group();
  for (const key of keys) await source.write(`RPUSH ${key} 2`);
  await source.write("DEL list0 list299");
  await source.write("RPUSH list0 3");
  await lane.applyChanges(group);
  expect(told.repairedKeys).toBe(300);
  await lane.applyChanges(source.group(150));
  await lane.applyChanges(source.group());
  await same(source, server);
  lane.close();
});

// Mutation: standalone-repairs.ts, `#refused`: no HDEL (the list is never written again, and nothing says so).
test("loud: a key that the destination refuses inside the transaction is not taken for repaired", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  await using tamperer = await ReplyTamperer.start(server.port);
  const { lane } = await open(server, source, "repair", {}, tamperer.port);
  await server.client().set("list", "planted");
  await server.client().set("fine", "planted");
  await source.write("RPUSH list b");
  await source.write("SADD fine b");
  const group = source.group();
  // Neither as it is, nor from its elements.
  tamperer.tamper = ({ args: [name, key, other] }) =>
    (name === "RESTORE" && key === "list") || (name === "RENAME" && other === "list")
      ? { bare: "-ERR DUMP payload version or checksum are wrong" }
      : null;
  await expect(lane.applyChanges(group)).rejects.toMatchObject({ name: "Halt", code: "DST-014" });
  lane.close();
  tamperer.tamper = () => null;
  expect(await server.client().hkeys(REPAIRED)).toEqual(["0:fine"]);
  const lifted = await open(server, source, "repair", { isLifted: true });
  await lifted.lane.judge(runsOf(group));
  await source.write("RPUSH list c");
  await lifted.lane.applyChanges(source.group());
  await same(source, server);
  lifted.lane.close();
});

// Mutation: standalone-repairs.ts, `#isWritten`: nothing is learnt from a refusal (the lane halts with DST-014).
test("a key whose RESTORE the destination refuses is repaired from its elements", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  await using tamperer = await ReplyTamperer.start(server.port);
  const { lane } = await open(server, source, "repair", {}, tamperer.port);
  for (const key of ["list", "fine"]) await server.client().set(key, "planted");
  await source.write("RPUSH list b");
  await source.write("SADD fine b");
  tamperer.tamper = ({ args: [name, key] }) =>
    name === "RESTORE" && key === "list" ? { bare: "-ERR DUMP payload version or checksum are wrong" } : null;
  await lane.applyChanges(source.group());
  await same(source, server);
  expect(await server.client().keys("*:tmp:*")).toEqual([]);
  lane.close();
});

// Mutation: standalone-repairs.ts, `failed`: what failed behind the runs is not looked at (the lane goes on).
test("loud: a key that is refused while it is put back behind a FLUSHALL is not taken for repaired", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  await using tamperer = await ReplyTamperer.start(server.port);
  const { lane } = await open(server, source, "repair", {}, tamperer.port);
  await server.client().set("list", "planted");
  for (const line of ["RPUSH list b", "FLUSHALL", "RPUSH list c"]) await source.write(line);
  await lane.applyChanges(source.group(1));
  tamperer.tamper = ({ args }) => (args[0] === "RESTORE" ? { bare: "-ERR DUMP payload version or checksum are wrong" } : null);
  await expect(lane.applyChanges(source.group())).rejects.toMatchObject({ name: "Halt", code: "DST-014" });
  expect(await server.client().exists(REPAIRED)).toBe(0);
  lane.close();
});

// Mutation: standalone-repairs.ts, `follow`: nothing is read again (the list keeps what the source lost).
test.each(["batch", "fence"] as const)(
  "a key that was read in a history which the source lost is read again where a %s of another one goes on",
  async (by) => {
    await using source = await SourceLane.start(RedisServer);
    await using server = await start(source);
    const first = await open(server, source, "repair");
    await server.client().set("list", "planted");
    await source.write("RPUSH list b");
    await first.lane.applyChanges(source.group());
    await first.lane.confirm();
    first.lane.close();
    await server.client().rpush("list", "lost");
    await server.client().hset(REPAIRED, "0:list", `1|${source.offset + 1_000_000}|former`);
    const next = await open(server, source, "repair");
    if (by === "fence") await next.lane.follow({ replid: source.replid, previous: source.offset });
    else {
      await source.write("RPUSH list c");
      await next.lane.applyChanges(source.group());
    }
    expect(await server.client().lrange("list", 0, -1)).not.toContain("lost");
    await same(source, server);
    next.lane.close();
  },
);

// Mutation: key-repair.ts, `refusesUnread` does nothing: what was repaired before is forgotten, and its units run on the image.
test("loud: where what was repaired may not be read, a lane with the policy repair does not begin; others do", async () => {
  await using source = await SourceLane.start(RedisServer);
  await source.write("SET start 1");
  await using server = await start(source);
  await server.client().acl("SETUSER", "default", "-hgetall");
  await expect(open(server, source, "repair")).rejects.toMatchObject({ name: "Halt", code: "DST-002" });
  const { lane } = await open(server, source, "halt");
  expect(lane.position).toMatchObject({ phase: "live" });
  lane.close();
});
