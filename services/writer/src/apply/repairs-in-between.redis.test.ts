import { RedisServer } from "@sluice/testkit";
import { formatMark } from "@sluice/wire";
import { expect, test } from "vitest";
import { runsOf, SourceLane } from "../repair/source-lane.sample.ts";
import { MARK, open, same, start } from "./repaired-server.sample.ts";

// Mutations: pass-over.ts, `taintedKeys`, and lost-verdict.ts, `add`, without `swaps`: what a command that failed has left wrong stays so where SWAPDB took it.
test.each(["seen", "judged", "lifted"])(
  "applied-once: a key that differs is repaired where a SWAPDB of its group took it: %s",
  async (when) => {
    await using source = await SourceLane.start(RedisServer);
    await using server = await start(source);
    const before = source.position;
    const { lane } = await open(server, source, "repair", { isLifted: when === "lifted" });
    await server.client().set("p", "planted");
    await source.write("RPUSH p x");
    await source.write("SWAPDB 0 3");
    const group = source.group();
    if (when === "seen") await lane.applyChanges(group);
    else {
      // As a writer leaves it whose answer was lost.
      const { offset, sequence } = before;
      await server
        .client()
        .multi()
        .rpush("p", "x")
        .swapdb(0, 3)
        .select(3)
        .del(MARK)
        .select(0)
        .set(MARK, formatMark({ ...source.position, judged: { offset, sequence } }))
        .exec();
      lane.close();
      const second = await open(server, source, "repair", { isLifted: when === "lifted" });
      expect(second.lane.unjudged).not.toBeNull();
      await second.lane.judge(runsOf(group));
      second.lane.close();
    }
    await same(source, server);
    lane.close();
  },
);

// Mutation: standalone-repairs.ts, `swappedBy` sees the first SWAPDB of a transaction alone.
test.each(["SWAPDB 5 6; SWAPDB 0 3", "SWAPDB 0 5; SWAPDB 0 3", "SWAPDB 0 5; SWAPDB 5 3"])(
  "barrier-in-order: repaired keys follow every SWAPDB of a transaction: %s",
  async (barrier) => {
    await using source = await SourceLane.start(RedisServer);
    await using server = await start(source);
    const { lane } = await open(server, source, "repair");
    await source.writeIn(3, "RPUSH list three");
    await lane.applyChanges(source.group());
    await server.client().set("list", "planted");
    await source.write("RPUSH list b");
    await source.write(...barrier.split("; "));
    await source.write("RPUSH list c");
    await source.writeIn(3, "RPUSH list d");
    await lane.applyChanges(source.group(1));
    await lane.applyChanges(source.group());
    await same(source, server);
    expect(await server.client(3).keys("sluice:*")).toEqual([]);
    lane.close();
  },
);

// Mutation: standalone-lane.ts, `#applyUnitByUnit` applies units to keys that it has just had repaired beyond them.
test("applied-once: a key that is repaired while a refused group is applied unit by unit is not written once more", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane } = await open(server, source, "repair");
  const client = server.client();
  await client.set("p", "planted");
  await client.call("ACL", "SETUSER", "default", "-append");
  await source.write("RPUSH p x");
  await source.write("RPUSH p y");
  await source.write("APPEND n 1");
  const outcome = await lane.applyChanges(source.group()).catch((cause: unknown) => cause);
  expect(outcome).toMatchObject({ name: "Halt", code: "DST-002" });
  expect(await client.lrange("p", 0, -1)).toEqual(["x", "y"]);
  lane.close();
});

// Mutation: standalone-repairs.ts, `applyAround` looks once which keys are in between; what a unit before a barrier has had repaired is ahead of the units behind it, too.
test("applied-once: a key that is repaired before a barrier of the same group is not written once more behind it", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane } = await open(server, source, "repair");
  await server.client().mset("list", "planted", "p", "planted");
  await source.write("RPUSH list b");
  await source.write("RPUSH p x");
  await source.write("SWAPDB 5 6");
  await source.write("RPUSH p y", "RPUSH m y");
  await lane.applyChanges(source.group(1));
  await lane.applyChanges(source.group());
  await same(source, server);
  expect(lane.unjudged).toBeNull();
  lane.close();
});

// Mutation: repair-book.ts, `set` takes any offset: `#applyBarrier` notes what it put back behind what a command of its own unit has had repaired since, at an older offset.
test("applied-once: a command that fails in a transaction with a barrier: what is repaired for it is not applied once more", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  let asked = 0;
  const { lane } = await open(server, source, "repair", {
    source: async () => {
      asked++;
      // Behind the answer for the barrier, and before the one for its unit's own command.
      if (asked === 3) await source.write("RPUSH v b");
      return { host: "127.0.0.1", port: source.server.port };
    },
  });
  await server.client().rpush("v", "planted");
  await source.write("INCR v");
  await source.write("SWAPDB 5 6", "INCR v");
  await source.write("DEL v");
  await source.write("RPUSH v a");
  await lane.applyChanges(source.group(1));
  await lane.applyChanges(source.group(3));
  expect(asked).toBe(3);
  await lane.applyChanges(source.group());
  await same(source, server);
  lane.close();
});

// Mutation: watched-transaction.ts, of the errors of a transaction only the first 16 384 are kept, and what failed behind them passes for applied.
test("a key that fails behind 16 384 other errors of its group is repaired, too", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane } = await open(server, source, "repair");
  await server.client().mset("hot", "planted", "last", "planted");
  await source.write(...Array.from({ length: 17_000 }, () => "SADD hot a"));
  await source.write("SADD last a");
  await lane.applyChanges(source.group());
  await same(source, server);
  expect(lane.unjudged).toBeNull();
  lane.close();
});

// Mutation: commands-of.ts, `placesOf` gives up at 65 536 keys, and a unit without places runs on keys that are ahead of it.
test("a command on more keys than 65 536 does not run on a repaired key that is ahead of it", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane } = await open(server, source, "repair");
  await server.client().set("list", "planted");
  await source.write("RPUSH list b");
  await source.write(`DEL list ${Array.from({ length: 70_000 }, (_, n) => `k${n}`).join(" ")}`);
  await source.write("RPUSH list c");
  await lane.applyChanges(source.group(1));
  await lane.applyChanges(source.group());
  await same(source, server);
  expect(lane.unjudged).toBeNull();
  lane.close();
});

// Mutation: standalone-repairs.ts, a barrier that nothing repaired is ahead of is applied with others, and the hash of repaired keys goes where SWAPDB takes database 0.
test("SWAPDB behind a repaired key's offset leaves no key of ours in the user's database", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await start(source);
  const { lane } = await open(server, source, "repair");
  await server.client().set("list", "planted");
  await source.write("RPUSH list b");
  await lane.applyChanges(source.group());
  await source.write("SWAPDB 0 3");
  await source.write("INCR n");
  await lane.applyChanges(source.group());
  await same(source, server);
  expect(await server.client(3).keys("sluice:*")).toEqual([]);
  lane.close();
});
