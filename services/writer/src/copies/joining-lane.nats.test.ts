import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import {
  laneRecord,
  liveSubject,
  recordKey,
  shardRecord,
  specRecord,
  voidCopiesRecord,
  type GroupCopy,
  type ShardRecord,
} from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WatchedLane } from "../watched-lane.sample.ts";

let nats: NatsServer;
let redis: RedisServer;
let bus: Bus;

beforeAll(async () => {
  [nats, redis] = await Promise.all([NatsServer.start(), RedisServer.start()]);
  bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
});

afterAll(async () => {
  await bus.close();
  await Promise.all([nats[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
});

const unit = (end: number, ...commands: readonly string[]) => ({ end, commands });
const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };

/** What ingest says of the shard: the copies that there are beside the one of its epoch, `[number, phase]`. */
async function tellCopies(lane: WatchedLane, ...copies: readonly (readonly [number, GroupCopy["phase"]])[]): Promise<void> {
  const record: ShardRecord = {
    epoch: 1,
    copy: 1,
    term: 1,
    instance: "i",
    phase: "streaming",
    replid: "r",
    storedOffset: 0,
    db: 0,
    copied,
    joined: { epoch: 1, number: 0 },
    copies: copies.map(([copy, phase]) => ({
      epoch: 1,
      copy,
      groups: { main: 1 },
      phase,
      offset: 0,
      replid: "r",
      copied,
      retry: null,
    })),
    commands: 0,
    bytes: 0,
    retry: null,
    halt: null,
    at: 0,
  };
  await bus.records.put(recordKey.shard(lane.pipeline, "s0"), shardRecord, record);
}

/** A copy that brings one value of `n` and ends at `offset` is stored, and serves the group; `before`: what became of others. */
async function storeCopy(
  lane: WatchedLane,
  copy: number,
  n: string,
  offset: number,
  ...before: readonly (readonly [number, GroupCopy["phase"]])[]
): Promise<void> {
  lane.copy = copy;
  await lane.copied(0, { "0:n": n });
  await lane.copyEnds(1, offset);
  await tellCopies(lane, ...before, [copy, "stored"]);
}

/** A lane whose changes hold three increments up to 130, of a group that is added now, in a destination that has it from an earlier time. */
async function added(): Promise<WatchedLane> {
  await redis.client().flushall();
  const lane = await WatchedLane.open(bus);
  lane.existing = "replace";
  await lane.changes(100, unit(110, "INCR n"), unit(120, "INCR n"));
  lane.write("standalone", redis.port);
  await waitUntil("the lane is live at 120", () => lane.isAt(120));
  await lane.stop();
  // It had halted by then: that is over with the group's former time.
  const halt = { code: "DST-004", message: "m", remedy: "r", at: 1 };
  await bus.records.put(recordKey.lane(lane.pipeline, "main.s0.0"), laneRecord, { ...(await lane.record())!, halt });
  lane.addition = { number: 1, above: 1 };
  return lane;
}

/** Epoch 2 begins behind the addition, with 9 in `n` and one more increment. */
async function beginEpoch(lane: WatchedLane): Promise<void> {
  lane.copy = 1;
  const key = recordKey.shard(lane.pipeline, "s0");
  const record = (await bus.records.get(key, shardRecord))!.value;
  await lane.fence(2, 2, 500);
  await lane.copied(0, { "0:n": "9" });
  await lane.copyEnds(1);
  await bus.records.put(key, shardRecord, { ...record, epoch: 2, joined: { epoch: 2, number: 1 } });
  await lane.changes(500, unit(510, "INCR n"));
}

const markOf = async (lane: WatchedLane): Promise<string> => (await redis.client().get(lane.markKey)) ?? "";

// Mutations: joining.ts, a live mark taken for the lane's own: it never waits for a copy; live-phase.ts, `firstAbove` from 0: the unit at 150
// counts twice; lane-writer.ts, `#begin` that takes the record of the earlier time on: the lane stays halted.
test("a group that comes again waits for its copy, and goes on behind S in the middle of a batch, every unit once; a killed writer goes on", async () => {
  await using lane = await added();
  await lane.changes(120, unit(140, "INCR n"), unit(150, "INCR n"), unit(160, "INCR n", "SET m late"));
  await lane.changes(160, unit(165, "SET z 1"));
  await tellCopies(lane);
  lane.write("standalone", redis.port);
  await waitUntil("it waits", async () => (await lane.record())?.retry?.isTurn === true);
  expect([await redis.client().get("n"), await markOf(lane)]).toEqual(["2", expect.stringMatching(/^1\|1\|1\|live/) as string]);
  expect(await lane.record()).toMatchObject({ addition: 1, epoch: 0, phase: "snap" });

  lane.copy = 2;
  await lane.copied(0, { "0:n": "4" });
  await tellCopies(lane, [2, "copying"]);
  await waitUntil("an entry stands there", async () => (await redis.client().get("n")) === "4");
  expect(await markOf(lane)).toMatch(/^1\|1\|2\|snap/);
  await lane.stop();
  lane.write("standalone", redis.port);
  await redis.client().set("stranger", "1");
  await lane.copied(1, { "0:other": "x" });
  await lane.copyEnds(2, 150);
  await tellCopies(lane, [2, "stored"]);
  await waitUntil("the lane is live at 165", () => lane.isAt(165));
  expect(await redis.client().mget("n", "m", "other", "stranger")).toEqual(["5", "late", "x", null]);
  expect(await markOf(lane)).toMatch(/^1\|1\|2\|live\|s0\|165/);
  await lane.changes(165, unit(170, "INCR n"));
  await waitUntil("it goes on", () => lane.isAt(170));
  expect([await redis.client().get("n"), await lane.floorAsked()]).toEqual(["6", 0]);
});

// Mutation: group-copy.ts, `#next` that gives up at the log's end: the lane asks for another copy, and never gets ahead of its source.
test("a copy that stands ahead of all that is stored waits for it, and units up to there are passed over", async () => {
  await using lane = await added();
  await storeCopy(lane, 2, "40", 300);
  lane.write("standalone", redis.port);
  await waitUntil("it waits for changes", async () => (await lane.record())?.retry?.reason.includes("offset 300") === true);
  expect(await markOf(lane)).toMatch(/^1\|1\|2\|snap/);
  await lane.changes(120, unit(200, "INCR n"));
  await lane.changes(200, unit(290, "INCR n"), unit(310, "INCR n"));
  await waitUntil("the lane is live at 310", () => lane.isAt(310));
  expect(await redis.client().get("n")).toBe("41");
});

// Mutations: landing-search.ts, the history not compared: n is 4 and grows by what another history did; lane-writer.ts, a refusal that asks for
// an epoch: the floor is raised, and every group is copied anew.
async function otherHistory(lane: WatchedLane): Promise<void> {
  lane.replid = "other";
  return Promise.resolve();
}

async function lastAlone({ stream, pipeline }: WatchedLane): Promise<void> {
  const subject = liveSubject(pipeline, "s0", 0);
  await stream.trim(subject, (await stream.tail(subject))?.sequence ?? 0);
}

test.each([
  ["of another history than the changes", otherHistory, 150],
  ["from before all that the lane still holds", lastAlone, 90],
] as const)("a copy %s is void: nothing is deleted for it, and the group alone gets another", async (_, spoil, offset) => {
  await using lane = await added();
  await lane.changes(120, unit(140, "INCR n"), unit(160, "INCR n"));
  await redis.client().set("stranger", "1");
  lane.copy = 2;
  await spoil(lane);
  await lane.copied(0, { "0:n": "3" });
  await lane.copyEnds(1, offset);
  lane.replid = "r";
  await tellCopies(lane, [2, "stored"]);
  lane.write("standalone", redis.port);
  const refused = await waitUntil("it says so", async () =>
    bus.records.get(recordKey.voidCopies(lane.pipeline, "s0"), voidCopiesRecord),
  );
  expect(refused.value.groups["main"]).toMatchObject({ epoch: 1, copy: 2 });
  expect([await redis.client().get("stranger"), await lane.floorAsked()]).toEqual(["1", 0]);
  await storeCopy(lane, 3, "3", 140, [2, "void"]);
  await waitUntil("the lane is live at 160", () => lane.isAt(160));
  expect([...(await redis.client().mget("n", "stranger")), await lane.floorAsked()]).toEqual(["4", null, 0]);
});

// Mutation: group-copy.ts, `isOver` false: the writer waits for the rest of a copy that broke off with its ingest.
test("a copy that broke off gives way to the next one, and a new epoch's own copy to that", async () => {
  await using lane = await added();
  lane.copy = 2;
  await lane.copied(0, { "0:n": "3", "0:half": "1" });
  await tellCopies(lane, [2, "copying"]);
  lane.write("standalone", redis.port);
  await waitUntil("half of it stands there", async () => (await redis.client().get("half")) === "1");
  await storeCopy(lane, 3, "2", 120, [2, "void"]);
  await waitUntil("the lane is live", async () => (await markOf(lane)).startsWith("1|1|3|live"));
  expect(await redis.client().mget("n", "half")).toEqual(["2", null]);
  await beginEpoch(lane);
  await waitUntil("the lane is live at 510", () => lane.isAt(510));
  expect([await redis.client().get("n"), await markOf(lane)]).toEqual([
    "10",
    expect.stringMatching(/^1\|2\|1\|live/) as string,
  ]);
});

// Mutation: lane-writer.ts, `#follow` that waits for a copy of any epoch: the mark becomes 1|1|2|snap, and the lane waits at its gate for itself.
test("a copy at or below the floor is not begun with: the next epoch's is waited for", async () => {
  await using lane = await added();
  await storeCopy(lane, 2, "3", 120);
  lane.write("standalone", redis.port, undefined, 1);
  await waitUntil("it waits", async () => (await lane.record())?.retry?.isTurn === true);
  expect(await markOf(lane)).toMatch(/^1\|1\|1\|live/);
  await beginEpoch(lane);
  await waitUntil("the lane is live at 510", () => lane.isAt(510));
  expect(await redis.client().get("n")).toBe("10");
});

// Mutations: lane-writer.ts, `#standing` always null: the lane waits for the other's copy, and is thrown back to it; lane-copies.ts, `goesOn` without
// `#last`: the gap asks for an epoch, and every group is copied anew.
test("a lane that is live by a copy that another lane could not use goes on, until it can't itself", async () => {
  await using lane = await added();
  await lane.changes(120, unit(140, "INCR n"));
  await storeCopy(lane, 2, "3", 140);
  lane.write("standalone", redis.port);
  await waitUntil("the lane is live at 140", () => lane.isAt(140));
  await lane.stop();
  await redis.client().set("stranger", "1");
  await tellCopies(lane, [2, "void"], [3, "waiting"]);
  lane.write("standalone", redis.port);
  await lane.changes(140, unit(150, "INCR n"));
  await waitUntil("the lane is live at 150", () => lane.isAt(150));
  expect(await redis.client().mget("n", "stranger")).toEqual(["4", "1"]);
  expect(await markOf(lane)).toMatch(/^1\|1\|2\|live/);
  await lane.changes(160, unit(170, "INCR n"));
  const refused = await waitUntil("it says that it can't go on", async () =>
    bus.records.get(recordKey.voidCopies(lane.pipeline, "s0"), voidCopiesRecord),
  );
  expect(refused.value.groups["main"]).toMatchObject({ epoch: 1, copy: 2 });
  await storeCopy(lane, 3, "7", 160, [2, "void"]);
  await waitUntil("the lane is live at 170", () => lane.isAt(170));
  expect([...(await redis.client().mget("n", "stranger")), await lane.floorAsked()]).toEqual(["8", null, 0]);
});

// Mutation: lane-writer.ts, `#joiningOf` that follows a mark which is outdone: the lane goes on behind a copy that nothing tells of, and what was
// written since is missing.
test("a mark of a later copy than any that the records tell of is not gone on from: the group's copy comes above it", async () => {
  await using lane = await added();
  await redis.client().set(lane.markKey, (await markOf(lane)).replace("|1|live|", "|5|live|"));
  await lane.changes(120, unit(140, "INCR n"));
  await storeCopy(lane, 2, "3", 140);
  lane.write("standalone", redis.port);
  const refused = await waitUntil("it says so", async () =>
    bus.records.get(recordKey.voidCopies(lane.pipeline, "s0"), voidCopiesRecord),
  );
  expect(refused.value.groups["main"]).toMatchObject({ epoch: 1, copy: 5, why: "a lane's mark is of copy 5" });
  expect([await redis.client().get("n"), await markOf(lane)]).toEqual(["2", expect.stringMatching(/^1\|1\|5\|live/)]);
  await storeCopy(lane, 6, "3", 140, [2, "void"]);
  await waitUntil("the lane is live at 140", () => lane.isAt(140));
  expect([await redis.client().get("n"), await lane.floorAsked()]).toEqual(["3", 0]);
  expect(await markOf(lane)).toMatch(/^1\|1\|6\|live/);
});

// Mutation: lane-writer.ts, `#follow` that believes the record whatever the destination says: it begins with copy 2, which is void.
test("a lane that was live by a copy which does not serve any more, in a destination that lost it, waits for the next one", async () => {
  await using lane = await added();
  await storeCopy(lane, 2, "2", 120);
  lane.write("standalone", redis.port);
  await waitUntil("the lane is live at 120", async () => (await markOf(lane)).startsWith("1|1|2|live") && lane.isAt(120));
  await lane.stop();
  await redis.client().flushall();
  await tellCopies(lane, [2, "void"], [3, "waiting"]);
  lane.write("standalone", redis.port);
  await waitUntil("it waits", async () => (await lane.record())?.retry?.reason.includes("waits for the group's copy") === true);
  expect([await redis.client().dbsize(), await lane.floorAsked()]).toEqual([0, 0]);
});

// Mutation: lane-writer.ts, `#checkGroup` passes always: a group that was taken away meanwhile, or added anew, is written to as if it were still there.
test("nothing is written for a group of another addition than the pipeline's spec names", async () => {
  await using lane = await added();
  const pipeline = { name: lane.pipeline, source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
  const key = recordKey.spec(lane.pipeline);
  const additions = { main: { number: 2, above: 1 } };
  await bus.records.put(key, specRecord, { pipeline, desired: "running", createdAt: 1, additions });
  await storeCopy(lane, 2, "2", 120);
  lane.write("standalone", redis.port);
  await waitUntil("it says so", () => lane.warnings.some((text) => text.includes("was taken away, or added anew")));
  expect(await markOf(lane)).toMatch(/^1\|1\|1\|live/);
  await bus.records.put(key, specRecord, { pipeline, desired: "running", createdAt: 1, additions: { main: lane.addition! } });
  await waitUntil("the lane is live by its copy", async () => (await markOf(lane)).startsWith("1|1|2|live"));
});
