import { encodeCommand, keySlot } from "@sluice/redis";
import { NatsServer, rdbPath, RecordedPrimary, waitUntil } from "@sluice/testkit";
import { BatchKind, ChangeFlag, ChangeRows, encodeBatch, laneOf, liveSubject, type Batch } from "@sluice/wire";
import { expect, test } from "vitest";
import {
  bodyOf,
  fencesOf,
  sets,
  shardOf,
  startIntake,
  storedBatches,
  storedUpTo,
  type RunningIntake,
} from "./running-intake.sample.ts";

const VERSION = "7.0.15";
const PING = encodeCommand(["PING"]);

async function phaseOf(intake: RunningIntake, epoch: number): Promise<void> {
  await waitUntil(`epoch ${epoch} streams`, async () => {
    const record = await shardOf(intake.bus);
    return record?.epoch === epoch && record.phase === "streaming";
  });
}

/** Changes of the epoch, with what lies behind `offset` only. */
function changesBehind(batches: readonly Batch[], epoch: number, offset: number): Buffer {
  return bodyOf(batches.filter((batch) => batch.epoch === epoch && batch.previous >= offset));
}

// Mutations: continuation.ts, the comparison with `secondReplOffset` taken out: the source is asked to continue. And epoch.ts, `+ 1`
// taken out: the new history goes on in the old epoch.
test("case 24: ahead of the promoted replica: PSYNC is not even asked, and a new epoch holds the new history alone", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream: sets(0, 10) });
  const intake = await startIntake(nats.url, primary.port, "i1");
  await storedUpTo(intake.bus, primary.finalOffset);
  const shared = primary.finalOffset;
  primary.append(sets(10, 5));
  await storedUpTo(intake.bus, primary.finalOffset);
  primary.failOver(shared);
  primary.append(sets(100, 20));
  await phaseOf(intake, 2);
  await storedUpTo(intake.bus, primary.finalOffset);
  expect([primary.psyncs, primary.partialSyncs]).toEqual([["?", "?"], 0]);
  const { live, snap } = await storedBatches(intake.bus);
  expect(bodyOf(live.filter(({ epoch }) => epoch === 2))).toEqual(Buffer.concat([sets(0, 10), sets(100, 20)]));
  expect(snap.at(-1)).toMatchObject({ kind: BatchKind.snapshotEnd, epoch: 2, replid: primary.replid });
  await intake.stop();
});

// Mutation: continuation.ts, `point.highest + 1` compared: who is equal counts as ahead, and is copied anew.
test.each([
  ["equal to", 0],
  ["behind", 7],
])("case 25: %s the promoted replica: it continues in the same epoch, under a new term and the new id", async (_, more) => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream: sets(0, 10) });
  const first = await startIntake(nats.url, primary.port, "i1");
  await storedUpTo(first.bus, primary.finalOffset);
  await first.stop();
  const [before, former] = [primary.finalOffset, primary.replid];
  primary.append(sets(10, more));
  primary.failOver(primary.finalOffset);
  primary.append(sets(100, 20));
  const second = await startIntake(nats.url, primary.port, "i2");
  await storedUpTo(second.bus, primary.finalOffset);
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([1, 1]);
  const { live } = await storedBatches(second.bus);
  expect(changesBehind(live, 1, before)).toEqual(Buffer.concat([sets(10, more), sets(100, 20)]));
  expect(fencesOf(live)).toEqual([
    [1, 1, former],
    [1, 2, former],
    [1, 2, primary.replid],
  ]);
  await second.stop();
});

// Mutation: continuation.ts, `point.offset` in place of `point.highest`: PSYNC continues the lower lane, partialSyncs is 1, and the
// new history's write in the other lane is passed over as if it were stored.
test("case 24b: one lane ahead of the promoted replica and one behind: it must be copied anew", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream: sets(0, 10) });
  const first = await startIntake(nats.url, primary.port, "i1", { cut: 2 });
  await storedUpTo(first.bus, primary.finalOffset);
  const lanesStand = async (): Promise<boolean> =>
    (await Promise.all([0, 1].map((lane) => storedBatches(first.bus, lane)))).every(
      ({ live }) => live.at(-1)?.last === primary.finalOffset,
    );
  await waitUntil("both lanes have heard how far the stream is", lanesStand);
  await first.stop();
  const shared = primary.finalOffset;
  const second = await startIntake(nats.url, primary.port, "i2", { cut: 2 });
  await phaseOf(second, 1);
  await second.stop();

  // What an ingest leaves that died when one of two lanes had stored the write that was lost.
  const third = await startIntake(nats.url, 1, "i3", { cut: 2 });
  const lane = laneOf(keySlot(Buffer.from("lost")), 2);
  const lost = encodeCommand(["SET", "lost", "x".repeat(10)]);
  const tail = (await storedBatches(third.bus, lane)).live.at(-1) as Batch;
  const rows = new ChangeRows(1);
  rows.add(lost.length, 3, lost.length, keySlot(Buffer.from("lost")), 0, ChangeFlag.first | ChangeFlag.last, 4);
  const ahead: Batch = {
    ...tail,
    kind: BatchKind.changes,
    previous: shared,
    last: shared + lost.length,
    rows,
    body: lost,
    part: null,
    besideCopy: false,
  };
  const subject = liveSubject("p", "s0", lane);
  const stream = third.bus.stream("p");
  const at = await stream.tail(subject);
  expect((await stream.append(subject, encodeBatch(ahead), at?.sequence ?? 0)).outcome).toBe("stored");
  await third.stop();

  // Other writes of the same length stand at these offsets in the new history.
  const kept = encodeCommand(["SET", "kept", "y".repeat(10)]);
  primary.failOver(shared);
  primary.append(Buffer.concat([kept, sets(100, 10)]));
  const before = [primary.fullSyncs, primary.partialSyncs];
  const fourth = await startIntake(nats.url, primary.port, "i4", { cut: 2 });
  await storedUpTo(fourth.bus, primary.finalOffset);
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([(before[0] ?? 0) + 1, before[1]]);
  const { live } = await storedBatches(fourth.bus, null, 2);
  const anew = bodyOf(live.filter(({ epoch }) => epoch === 2)).toString();
  expect([anew.includes("kept"), anew.includes("lost")]).toEqual([true, false]);
  await fourth.stop();
});

// Mutation: continuation.ts, `ask` for a history that the source knows nothing of: it is asked, and refuses.
test("case 27: two failovers in a row, so that the source has forgotten the lanes' history: a full copy", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream: sets(0, 10) });
  const first = await startIntake(nats.url, primary.port, "i1");
  await storedUpTo(first.bus, primary.finalOffset);
  await first.stop();
  primary.failOver(primary.finalOffset);
  primary.append(sets(10, 10));
  primary.failOver(primary.finalOffset);
  const second = await startIntake(nats.url, primary.port, "i2");
  await phaseOf(second, 2);
  await storedUpTo(second.bus, primary.finalOffset);
  expect([primary.psyncs, primary.partialSyncs]).toEqual([["?", "?"], 0]);
  expect(bodyOf((await storedBatches(second.bus)).live.filter(({ epoch }) => epoch === 2))).toEqual(sets(0, 20));
  await second.stop();
});

// Mutation: change-batcher.ts, `last` moved by a part that is not the final one: the source is asked for what lies inside of it.
test("case 37: the link drops before EXEC: the transaction comes again from its MULTI, once and whole", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream: sets(0, 10) });
  const intake = await startIntake(nats.url, primary.port, "i1");
  await storedUpTo(intake.bus, primary.finalOffset);
  const before = primary.finalOffset;
  const commands = 20_000;
  const inside = sets(0, commands, 100);
  primary.append(Buffer.concat([encodeCommand(["MULTI"]), inside.subarray(0, inside.length - 50)]));
  await waitUntil("parts of it are stored", async () =>
    (await storedBatches(intake.bus)).live.some(({ part }) => part !== null && part.index > 0),
  );
  expect((await shardOf(intake.bus))?.storedOffset).toBe(before);
  primary.disconnectAll();
  primary.append(Buffer.concat([inside.subarray(inside.length - 50), encodeCommand(["EXEC"]), sets(7, 1)]));
  await storedUpTo(intake.bus, primary.finalOffset);
  const { live } = await storedBatches(intake.bus);
  const fence = live.findIndex(({ kind, term }) => kind === BatchKind.fence && term === 2);
  expect(live.slice(0, fence).every(({ last, part }) => last <= before && part?.final !== true)).toBe(true);
  const again = live.slice(fence + 1).filter(({ rows }) => rows !== null);
  expect(bodyOf(again).equals(Buffer.concat([inside, sets(7, 1)]))).toBe(true);
  const flags = again.flatMap(({ rows }) => (rows instanceof ChangeRows ? [...rows.flags.subarray(0, rows.count)] : []));
  expect(flags.filter((flag) => (flag & ChangeFlag.first) !== 0)).toHaveLength(2);
  await intake.stop();
});

// Mutation: link-session.ts, `#beat` without `batcher.heartbeat`: the tail stays where it is, and then the backlog is beyond it.
test("case 40: a source that only pings for long is continued: heartbeats have moved the lane's tail with it", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream: sets(0, 10) });
  const intake = await startIntake(nats.url, primary.port, "i1");
  await storedUpTo(intake.bus, primary.finalOffset);
  for (let ping = 0; ping < 360; ping++) primary.append(PING);
  await storedUpTo(intake.bus, primary.finalOffset);
  await waitUntil(
    "the lane's tail is there, too",
    async () => (await storedBatches(intake.bus)).live.at(-1)?.last === primary.finalOffset,
  );
  await intake.stop();
  primary.forgetBefore(primary.finalOffset - PING.length);
  primary.append(sets(10, 3));
  const second = await startIntake(nats.url, primary.port, "i2");
  await storedUpTo(second.bus, primary.finalOffset);
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([1, 1]);
  await second.stop();
});

// Mutation: resume-point.ts, `db: 0`: the write lands in database 0.
test("case 41: a link that is made again in the middle of database 7 goes on there, although the source does not say so", async () => {
  await using nats = await NatsServer.start();
  const select = (db: number): Buffer => encodeCommand(["SELECT", String(db)]);
  const everywhere = Buffer.concat(Array.from({ length: 16 }, (_, db) => Buffer.concat([select(db), sets(db, 1)])));
  const stream = Buffer.concat([everywhere, select(7), sets(100, 1)]);
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream });
  const first = await startIntake(nats.url, primary.port, "i1");
  await storedUpTo(first.bus, primary.finalOffset);
  await first.stop();
  const before = primary.finalOffset;
  primary.append(sets(200, 2));
  const second = await startIntake(nats.url, primary.port, "i2");
  await storedUpTo(second.bus, primary.finalOffset);
  const behind = (await storedBatches(second.bus)).live.filter(({ previous, rows }) => previous >= before && rows !== null);
  const databases = behind.flatMap(({ rows }) => (rows instanceof ChangeRows ? [...rows.dbs.subarray(0, rows.count)] : []));
  expect(databases).toEqual([7, 7]);
  await second.stop();
});

test("a primary that has become a replica is not read: it is waited for, with the reason", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream: sets(0, 10) });
  const intake = await startIntake(nats.url, primary.port, "i1");
  await storedUpTo(intake.bus, primary.finalOffset);
  primary.pretendReplica(true);
  primary.disconnectAll();
  const waiting = await waitUntil("it says why it waits", async () => {
    const retry = (await shardOf(intake.bus))?.retry ?? null;
    return retry?.reason.includes("is a replica of") === true ? retry : null;
  });
  expect(waiting.reason).toBe(`127.0.0.1:${primary.port} is a replica of 127.0.0.1:1; expected a primary`);
  expect(primary.partialSyncs).toBe(0);
  primary.append(sets(10, 5));
  primary.pretendReplica(false);
  await storedUpTo(intake.bus, primary.finalOffset);
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([1, 1]);
  await intake.stop();
});
