import { Bus, LaneStream } from "@sluice/bus";
import { keySlot } from "@sluice/redis";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import { BatchKind, liveSubject, snapSubject, SnapshotRows } from "@sluice/wire";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WatchedLane } from "./watched-lane.sample.ts";

const DETECTED_WITHIN_MS = 5_000;

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

/** Three increments up to 130, applied. */
async function counted(): Promise<WatchedLane> {
  const lane = await WatchedLane.open(bus);
  await lane.changes(100, unit(110, "INCR n"), unit(120, "INCR n"), unit(130, "INCR n"));
  lane.write("standalone", redis.port);
  await waitUntil("the lane is live at 130", () => lane.isAt(130));
  return lane;
}

// Mutation seen to fail the first and the third: lane-session.ts, `confirmIfDue` returns at once.
test.each([
  ["46", "is flushed by hand", async () => redis.client().flushall()],
  ["46", "is started again empty", async () => redis.restart("SIGKILL")],
  ["58", "loses its mark", async ({ markKey }: WatchedLane) => redis.client().del(markKey)],
])(
  "case %s: an idle destination that %s is noticed within 5 s and copied anew from what the stream still holds",
  async (_, __, lose) => {
    const client = redis.client();
    await client.flushall();
    await using lane = await counted();
    await client.set("stranger", "1");
    const lostAtMs = performance.now();
    await lose(lane);
    await waitUntil("the writer says so", () => lane.warnings.some((text) => text.includes("does not hold the mark")));
    expect(performance.now() - lostAtMs).toBeLessThan(DETECTED_WITHIN_MS);
    await waitUntil("it is copied", async () => (await client.get("n")) === "3");
    await lane.changes(130, unit(140, "INCR n"));
    await waitUntil("the lane is live at 140", () => lane.isAt(140));
    expect([await client.get("n"), await client.exists("stranger"), await lane.floorAsked()]).toEqual(["4", 0, 0]);
  },
);

// Mutation seen to fail it: standalone-destination.ts, `markFault` is `destinationFault`.
test.each([
  ["garbage", async (key: string) => redis.client().set(key, "garbage")],
  ["of another type", async (key: string) => redis.client().multi().del(key).rpush(key, "a").exec()],
])("case 58: a mark that is %s halts its lane with its key; once that is deleted, a start copies anew", async (_, spoil) => {
  const client = redis.client();
  await client.flushall();
  await using lane = await counted();
  await spoil(lane.markKey);
  await lane.ended();
  const halt = (await lane.record())?.halt;
  expect(halt).toMatchObject({ code: "DST-005", message: expect.stringContaining(lane.markKey) as string });
  expect(halt?.remedy).toContain("Delete the key that the message names");
  await client.del(lane.markKey);
  await client.set("n", "77");
  lane.write("standalone", redis.port);
  await lane.changes(130, unit(140, "INCR n"));
  await waitUntil("it goes on", async () => (await client.get("n")) === "4");
});

// Mutation seen to fail it: standalone-destination.ts, `confirm` does not throw.
test("case 44: a destination that goes back to an older state gets what it lost again, exactly, without a copy", async () => {
  const client = redis.client();
  await client.flushall();
  await using lane = await counted();
  const older = (await client.get(lane.markKey)) as string;
  await lane.changes(130, unit(140, "INCR n", "RPUSH l 1"), unit(150, "RPUSH l 2"));
  await waitUntil("the lane is live at 150", () => lane.isAt(150));
  await client.multi().set(lane.markKey, older).set("n", "3").del("l").exec();
  await waitUntil("it is as far as before", async () => (await client.get("n")) === "4");
  await lane.changes(150, unit(160, "RPUSH l 3"));
  await waitUntil("the lane is live at 160", () => lane.isAt(160));
  expect([await client.get("n"), await client.lrange("l", 0, -1), await lane.floorAsked()]).toEqual(["4", ["1", "2", "3"], 0]);
});

// Mutation seen to fail it: live-phase.ts, a gap is skipped.
test("case 45: what the destination needs again was removed: a copy is asked for, and nothing is applied meanwhile", async () => {
  const client = redis.client();
  await client.flushall();
  await using lane = await counted();
  const older = (await client.get(lane.markKey)) as string;
  await lane.changes(130, unit(140, "INCR n"));
  await lane.changes(140, unit(150, "INCR n"));
  await waitUntil("the lane is live at 150", () => lane.isAt(150));
  const tail = await lane.stream.tail(liveSubject(lane.pipeline, "s0", 0));
  await lane.stream.trim(liveSubject(lane.pipeline, "s0", 0), tail?.sequence ?? 0);
  await client.multi().set(lane.markKey, older).set("n", "3").exec();
  await waitUntil("a copy is asked for", async () => (await lane.floorAsked()) === 1);
  expect(await client.get("n")).toBe("3");
  await lane.fence(2, 2, 500);
  await lane.copied(0, { "0:n": "9" });
  await lane.copyEnds(1);
  await waitUntil("it is copied", async () => (await client.get("n")) === "9");
});

// Mutation seen to fail it: snapshot-phase.ts, `#complete` does not compare terms.
test("case 45: the fence of a later term is not where the copy stands, even where the copy held nothing", async () => {
  const client = redis.client();
  await client.flushall();
  await using lane = await counted();
  await lane.fence(1, 2, 130);
  const tail = await lane.stream.tail(liveSubject(lane.pipeline, "s0", 0));
  await lane.stream.trim(liveSubject(lane.pipeline, "s0", 0), tail?.sequence ?? 0);
  expect(await lane.stream.tail(snapSubject(lane.pipeline, 1, "s0", 0))).not.toBeNull();
  await client.flushall();
  await waitUntil("a copy is asked for", async () => (await lane.floorAsked()) === 1);
  expect(await client.get("n")).toBeNull();
});

// Mutation seen to fail it: lane-writer.ts, the constructor leaves the void epoch where it is.
test("case 46: a lane that is made anew while a later copy is on its way waits for that one", async () => {
  const client = redis.client();
  await client.flushall();
  await using lane = await counted();
  await lane.stop();
  await client.flushall();
  lane.write("standalone", redis.port, undefined, 1);
  await waitUntil("it has seen the loss", () => lane.warnings.length > 0);
  await lane.fence(2, 2, 500);
  await lane.copied(0, { "0:n": "9" });
  await lane.copyEnds(1);
  await waitUntil("it is copied", async () => (await client.get("n")) === "9");
  expect(await client.get(lane.markKey)).toContain("|2|1|");
});

/** The destination has applied up to 130 what the stream does not hold any more. */
async function ahead(): Promise<WatchedLane> {
  await redis.client().flushall();
  const lane = await WatchedLane.open(bus);
  await redis.client().mset({ n: "3", [lane.markKey]: "1|1|1|live|s0|130|77" });
  lane.write("standalone", redis.port);
  await waitUntil("it waits", () => lane.warnings.some((text) => text.includes("waiting until the source")));
  return lane;
}

// Mutation seen to fail it: log-place.ts, the last line answers `lost`.
test("case 60: a stream that lost what the destination has is filled again, in other batches, and the lane goes on", async () => {
  await using lane = await ahead();
  await lane.changes(100, unit(110, "INCR n"));
  await lane.changes(110, unit(120, "INCR n"), unit(130, "INCR n"), unit(140, "INCR n"));
  await waitUntil("the lane is live at 140", () => lane.isAt(140));
  expect([await redis.client().get("n"), await lane.floorAsked()]).toEqual(["4", 0]);
});

// Mutation seen to fail it: lane-chain.ts, `#isOf` answers true.
test("case 60: where another history filled it, the lane asks for a copy", async () => {
  await using lane = await ahead();
  lane.replid = "other";
  await lane.fence(1, 2, 100);
  await lane.changes(100, unit(115, "INCR m"));
  await lane.changes(115, unit(140, "INCR m"));
  await waitUntil("a copy is asked for", async () => (await lane.floorAsked()) === 1);
  expect([await redis.client().get("n"), await redis.client().exists("m")]).toEqual(["3", 0]);
});

// Mutations: find-place.ts, without `reachedIn`; live-phase.ts, `#join` leaves the replid out.
test("case 60: a mark names the history that it is in: another one's message in its place is found out by a writer that knows nothing", async () => {
  await redis.client().flushall();
  await using lane = await WatchedLane.open(bus);
  const [own, another] = ["a".repeat(40), "b".repeat(40)];
  lane.replid = own;
  lane.write("standalone", redis.port);
  await lane.changes(100, unit(120, "INCR n"), unit(140, "INCR n"));
  await waitUntil("the lane is live at 140", () => lane.isAt(140));
  const mark = (await redis.client().get(lane.markKey)) ?? "";
  expect(mark).toMatch(/\|140\|\d+@aaaaaaaa/);
  await lane.stop();
  // As where the same message of the stream was lost, and stored again when another primary had taken over before 140.
  await redis.client().set(lane.markKey, mark.replace("@aaaaaaaa", `@${another.slice(0, 8)}`));
  lane.write("standalone", redis.port);
  await waitUntil("a copy is asked for", async () => (await lane.floorAsked()) === 1);
  expect(await redis.client().get("n")).toBe("2");
});

/** Resolves when a lane that waits for more of its copy has looked at its changes twice more. */
async function lookedAgain(): Promise<void> {
  const tails = vi.spyOn(LaneStream.prototype, "tail");
  await waitUntil("the lane has looked", () => tails.mock.calls.filter(([subject]) => subject.includes(".live.")).length > 2);
  tails.mockRestore();
}

// Mutations: snapshot-phase.ts, without `#requireEnd`: the lane waits for an end that never comes. first-copy.ts, a fence taken for a change: the copy
// of an ingest that begins anew is void before it begins; `besideCopy` not looked at: so is every copy that changes come beside.
test("case 60: where the stream lost the end of a copy, which changes follow, the lane asks for another copy", async () => {
  await redis.client().flushall();
  await using lane = await WatchedLane.open(bus, async (fresh) => {
    await fresh.fence(1, 1, 100);
    await fresh.copied(0, { "0:n": "7" });
  });
  lane.write("standalone", redis.port);
  await waitUntil("it has what there is of the copy", async () => (await redis.client().get("n")) === "7");
  lane.besideCopy = true;
  await lane.changes(100, unit(110, "INCR n"));
  await lookedAgain();
  // An ingest that begins anew sets it before it asks the source for anything.
  await lane.fence(1, 2, 110);
  await lookedAgain();
  expect(await lane.floorAsked()).toBe(0);
  lane.besideCopy = false;
  await lane.changes(110, unit(120, "INCR n"));
  await waitUntil("a copy is asked for", async () => (await lane.floorAsked()) === 1);
});

// Mutation: snapshot-phase.ts, `#complete` does not compare the counts: what the copy lacks is missing, and the sweep deletes it where it stood.
test("case 60: where the stream lost a copy's last entries, nothing is deleted for it, and the lane asks for another copy", async () => {
  const client = redis.client();
  await client.flushall();
  await client.set("lost", "1");
  await using lane = await WatchedLane.open(bus, async (fresh) => {
    await fresh.fence(1, 1, 100);
    await fresh.copied(0, { "0:a": "7" });
    await fresh.copyEnds(2);
  });
  lane.existing = "replace";
  lane.write("standalone", redis.port);
  await waitUntil("a copy is asked for", async () => (await lane.floorAsked()) === 1);
  expect([await client.mget("a", "lost"), await client.get(lane.markKey)]).toEqual([
    ["7", "1"],
    expect.stringMatching(/^1\|1\|1\|snap/),
  ]);
});

// Mutation: first-copy.ts, `landing` where the changes end: those beside the copy are passed over.
test("converges: changes that were stored while the copy was on its way are applied behind it", async () => {
  await redis.client().flushall();
  await using lane = await WatchedLane.open(bus, async (fresh) => {
    await fresh.fence(1, 1, 100);
    await fresh.copied(0, { "0:n": "7" });
    fresh.besideCopy = true;
    await fresh.changes(100, unit(110, "INCR n"), unit(120, "INCR m"));
  });
  lane.write("standalone", redis.port);
  await waitUntil("it has what there is of the copy", async () => (await redis.client().get("n")) === "7");
  await lane.copied(1, { "0:m": "1" });
  await lane.copyEnds(2);
  await lane.changes(120, unit(130, "INCR m"));
  await waitUntil("the lane is live at 130", () => lane.isAt(130));
  expect([await redis.client().mget("n", "m"), await lane.floorAsked()]).toEqual([["8", "3"], 0]);
});

const LIST_TYPE = 1;

/** One entry of a copy whose value no server can read. */
async function damagedEntry(lane: WatchedLane): Promise<void> {
  const rows = new SnapshotRows(1);
  const [key, value] = [Buffer.from("broken"), Buffer.from([3, 200, 1])];
  const entry = { expireAtMs: -1, access: 0, slot: keySlot(key), db: 0, type: LIST_TYPE, accessKind: 0 };
  rows.add({ ...entry, length: key.length + value.length, keyLength: key.length });
  await lane.append({ kind: BatchKind.snapshot, previous: 0, last: 1, rows, body: Buffer.concat([key, value]) });
}

// Mutation: snapshot-phase.ts, `#isVerified` true: a copy that is damaged, which ingest repeats, halts its lane for good.
test.each([
  ["was damaged: the next copy is taken", false],
  ["is whole: the lane halts", true],
])("case 69: a value is refused, and waited for is whether the copy %s", async (_, isWhole) => {
  await redis.client().flushall();
  await using lane = await WatchedLane.open(bus, async (fresh) => {
    await fresh.fence(1, 1, 100);
    await damagedEntry(fresh);
  });
  lane.write("standalone", redis.port);
  await waitUntil("it waits", async () => (await lane.record())?.retry?.reason.includes("checksum") === true);
  if (isWhole) {
    await lane.copyEnds(1);
    await lane.ended();
    expect((await lane.record())?.halt?.message).toContain("can't be taken apart");
    return;
  }
  await lane.fence(2, 2, 200);
  await lane.copied(0, { "0:n": "7" });
  await lane.copyEnds(1);
  await waitUntil("the lane is live at 200", () => lane.isAt(200));
  expect([await redis.client().get("n"), (await lane.record())?.halt, (await lane.record())?.retry]).toEqual(["7", null, null]);
});

// Mutation seen to fail it: lane-writer.ts, `#checkEpoch` halts always.
test("case 61: where the epoch counter and the stream went back, a copy in a higher epoch is asked for", async () => {
  const client = redis.client();
  await client.flushall();
  await using lane = await counted();
  await client.set(lane.markKey, "1|2|1|live|s0|130|5");
  await lane.ended();
  expect((await lane.record())?.halt?.code).toBe("DST-005");
  await client.del(lane.markKey);
  lane.write("standalone", redis.port);
  await lane.fence(4, 2, 200);
  await lane.copyEnds(0);
  await lane.changes(200, unit(210, "INCR n"));
  await waitUntil("the lane is live at 210", () => lane.isAt(210));
  await lane.fence(1, 3, 130);
  await client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await waitUntil("a copy is asked for", async () => (await lane.floorAsked()) === 4);
});

// Mutation seen to fail it: lane-log.ts, the shard is not compared.
test("case 66: a message of another shard halts the lane", async () => {
  await redis.client().flushall();
  await using lane = await counted();
  await lane.append({ kind: BatchKind.heartbeat, previous: 130, last: 140, shard: "s1" });
  await lane.ended();
  expect((await lane.record())?.halt).toMatchObject({
    code: "BUS-004",
    message: expect.stringContaining("is of shard s1") as string,
  });
});
