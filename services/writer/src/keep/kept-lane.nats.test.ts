import { slotTag } from "@sluice/redis";
import { waitUntil } from "@sluice/testkit";
import { ChangeFlag, keptKey, recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { ReplyTamperer } from "../apply/reply-tamperer.sample.ts";
import { WatchedLane } from "../watched-lane.sample.ts";
import { LaneServers } from "../lane-servers.sample.ts";

const servers = LaneServers.forThisFile();

const unit = (end: number, ...commands: readonly string[]) => ({ end, commands });

// Mutations seen to fail it: standalone-lane.ts, `claim` without `takeDown` ("b" is overwritten); snapshot-phase.ts, the sweep without kept keys
// ("mine" goes); lane-keep.ts, `projected` as without `keeping`; the first copy sweeps ("new" goes).
test("applied-once: keys that stood there are never touched, by copies, sweeps and changes, however the writer ends", async () => {
  await using tamperer = await ReplyTamperer.start(servers.redis.port);
  await servers.redis.client().mset("mine", "1", "b", "2", "c", "3");
  await using lane = await WatchedLane.open(servers.bus, async (own) => {
    await own.fence(1, 1, 100);
    await own.copied(0, { "0:a": "10", "0:b": "20", "0:d": "40" });
    await own.copyEnds(3);
  });
  lane.existing = "keep";
  // Names are written, and the mark is not.
  const isMark = (args: readonly string[]): boolean => args[0] === "SET" && args[1] === lane.markKey;
  let isCut = false;
  tamperer.tamper = ({ args }) => {
    isCut ||= isMark(args);
    return isMark(args) ? "-OOM command not allowed when used memory > 'maxmemory'." : null;
  };
  lane.write("standalone", tamperer.port);
  await waitUntil("names are taken down, and the claim fails", async () => isCut);
  await lane.stop();
  const state = keptKey(slotTag(0), lane.pipeline, "main");
  expect([await servers.redis.client().exists(lane.markKey), await servers.redis.client().get(state)]).toEqual([
    0,
    "1|0|0|live|s0|3|1",
  ]);
  // What somebody writes after that is not kept; nor is it taken for the names.
  await servers.redis.client().set("new", "9");
  tamperer.tamper = () => null;
  lane.write("standalone", tamperer.port);
  await waitUntil("the copy is there", async () => lane.isAt(100));
  expect(await servers.held()).toEqual(["a=10", "b=2", "c=3", "d=40", "mine=1", "new=9"]);
  expect(await lane.record()).toMatchObject({ keptKeys: 3, keptEntries: 1, keptCommands: 0 });

  await lane.changes(100, unit(110, "INCR a"), unit(120, "INCR b"), unit(130, "DEL b c d"), unit(140, "SET mine x", "INCR a"));
  await waitUntil("they are applied", async () => lane.isAt(140));
  expect(await servers.held()).toEqual(["a=12", "b=2", "c=3", "mine=1", "new=9"]);
  await waitUntil("it is told", async () => (await lane.record())?.keptCommands === 3);
  await lane.stop();

  await servers.redis.client().del("c");
  lane.write("standalone", tamperer.port);
  await lane.fence(2, 2, 200);
  await lane.copied(0, { "0:b": "60", "0:c": "61", "0:e": "62" });
  await lane.copyEnds(3);
  await waitUntil("it is copied anew", async () => lane.isAt(200));
  expect(await servers.held()).toEqual(["b=2", "e=62", "mine=1"]);
  await lane.changes(200, unit(210, "INCR e"));
  await waitUntil("it goes on", async () => lane.isAt(210));
  await lane.changes(210, unit(220, "RENAME b e"));
  await lane.ended();
  expect((await lane.record())?.halt).toMatchObject({ code: "PIP-015" });
  expect(await servers.held()).toEqual(["b=2", "e=63", "mine=1"]);
});

// Mutations seen to fail it: keeping.ts, `note` does nothing: what the pipeline copied counts as somebody's, and stays as it is for ever;
// plan-changes.ts without `#keepStanding`: behind FLUSHALL the lane takes the names for lost.
test("a destination that was emptied keeps nothing; one that lost the names alone halts the lane", async () => {
  await servers.redis.client().flushall();
  await servers.redis.client().set("mine", "1");
  await using lane = await WatchedLane.open(servers.bus, async (own) => {
    await own.fence(1, 1, 100);
    await own.copied(0, { "0:a": "10", "0:mine": "20" });
    await own.copyEnds(2);
  });
  lane.existing = "keep";
  lane.write("standalone", servers.redis.port);
  await waitUntil("the copy is there", async () => lane.isAt(100));
  await servers.redis.client().flushall();
  const isCopied = async () => (await servers.held()).join() === "a=10,mine=20";
  await waitUntil("it is noticed, and copied anew", isCopied);
  // Where nothing is kept the source may empty it, too.
  const flush = { end: 110, commands: ["FLUSHALL"], flags: ChangeFlag.barrier };
  await lane.changes(100, flush, unit(120, "MSET a 11 mine 21"));
  await waitUntil("it is emptied", async () => lane.isAt(120));
  await lane.stop();
  lane.write("standalone", servers.redis.port);
  await lane.changes(120, unit(130, "INCR a"));
  await waitUntil("it goes on", async () => lane.isAt(130));
  await lane.stop();
  for (const key of await servers.redis.client().keys("sluice:*")) await servers.redis.client().del(key);
  lane.write("standalone", servers.redis.port);
  await lane.ended();
  expect((await lane.record())?.halt).toMatchObject({ code: "DST-022" });
  expect(await servers.held()).toEqual(["a=12", "mine=21"]);
});

// Mutation: snapshot-phase.ts, `isSwept` without the floor, or lane-writer.ts, floor always 0: "gone" stays for ever.
test("a lane that got slots which another one had copied sweeps with its first copy", async () => {
  await servers.redis.client().flushall();
  await servers.redis.client().set("mine", "1");
  await using lane = await WatchedLane.open(servers.bus, async (own) => {
    await own.fence(1, 1, 100);
    await own.copied(0, { "0:a": "10", "0:gone": "20" });
    await own.copyEnds(2);
  });
  lane.existing = "keep";
  lane.write("standalone", servers.redis.port);
  await waitUntil("the copy is there", async () => lane.isAt(100));
  await lane.stop();
  // As if another lane had been here: this one has neither mark nor record.
  await servers.redis.client().del(lane.markKey);
  await servers.bus.records.remove(recordKey.lane(lane.pipeline, "main.s0.0"));
  lane.write("standalone", servers.redis.port, undefined, 1);
  await lane.fence(2, 2, 200);
  await lane.copied(0, { "0:a": "30" });
  await lane.copyEnds(1);
  await waitUntil("it is copied", async () => lane.isAt(200));
  expect(await servers.held()).toEqual(["a=30", "mine=1"]);
});
