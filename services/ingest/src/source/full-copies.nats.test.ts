import { readFileSync } from "node:fs";
import { Bus, LaneStream } from "@sluice/bus";
import { NatsServer, rdbPath, RecordedPrimary, RedisServer, waitUntil } from "@sluice/testkit";
import { silentLog, systemClock, type Clock } from "@sluice/runtime";
import {
  BatchKind,
  ChangeRows,
  decodeBatch,
  encodeBatch,
  liveSubject,
  snapSubject,
  SnapshotRows,
  type Batch,
} from "@sluice/wire";
import { expect, test, vi } from "vitest";
import { Gate, sets, shardOf, startIntake, storedBatches, storedUpTo } from "./running-intake.sample.ts";

const VERSION = "7.0.15";
const CRC_BYTES = 8;

/** A clock on which no time passes but what is skipped; sleeps last as long as they do. */
class SkippingClock implements Clock {
  #skippedMs = 0;
  skip(ms: number): void {
    this.#skippedMs += ms;
  }
  nowMs(): number {
    return systemClock.nowMs() + this.#skippedMs;
  }
  monotonicMs(): number {
    return this.#skippedMs;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal);
  }
}

// Mutation: resume-point.ts, the test of `snapshotEnd` taken out: the half copy is continued, and the missing keys never come.
test.each([
  ["0 %", 0],
  ["25 %", 0.25],
  ["50 %", 0.5],
  ["99 %", 0.99],
  ["all but the last byte of its checksum", 1],
])("case 9: an intake that ends at %s of the RDB closes no copy; the next one copies anew, all of it", async (_, share) => {
  await using nats = await NatsServer.start();
  const rdb = readFileSync(rdbPath(VERSION));
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb, stream: sets(0, 10) });
  // What comes before the RDB: the answers to the handshake, INFO included, which a first link is asked for twice.
  await using probe = await Gate.open(primary.port, 1_000_000);
  const measured = await startIntake(nats.url, probe.port, "i0");
  await storedUpTo(measured.bus, primary.finalOffset);
  const whole = probe.passedBytes - sets(0, 10).length;
  const keys = (await storedBatches(measured.bus)).snap.at(-1)?.last;
  await measured.stop();

  await using fresh = await NatsServer.start();
  await using gate = await Gate.open(primary.port, Math.floor(whole - rdb.length + share * (rdb.length - 1)));
  const first = await startIntake(fresh.url, gate.port, "i1");
  await waitUntil("so much has passed", () => gate.isShut);
  await waitUntil("the copy has begun", async () => (await shardOf(first.bus))?.phase === "copying");
  await first.stop();
  gate.unbound();
  const second = await startIntake(fresh.url, gate.port, "i2");
  await storedUpTo(second.bus, primary.finalOffset);
  const { snap } = await storedBatches(second.bus);
  expect(snap.filter(({ kind }) => kind === BatchKind.snapshotEnd).map(({ epoch, last }) => [epoch, last])).toEqual([
    [2, keys],
  ]);
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([3, 0]);
  await second.stop();
});

/** Holds the ends of copies back until they are let pass; `stored`: kinds of what is stored, and whether it says that it is beside a copy. */
function heldEnds(): { stored: [kind: BatchKind, besideCopy: boolean][]; letPass: () => void; restore: () => void } {
  const stored: [BatchKind, boolean][] = [];
  let letPass = (): void => undefined;
  const mayPass = new Promise<void>((resolve) => (letPass = resolve));
  // oxlint-disable-next-line typescript/unbound-method -- it is called with the `this` of whoever appends
  const actual = LaneStream.prototype.append;
  const append = vi.spyOn(LaneStream.prototype, "append");
  append.mockImplementation(async function held(this: LaneStream, subject, payload, expected) {
    const { kind, besideCopy } = decodeBatch(payload);
    if (kind === BatchKind.snapshotEnd) await mayPass;
    const result = await actual.call(this, subject, payload, expected);
    stored.push([kind, besideCopy]);
    return result;
  });
  return { stored, letPass, restore: () => append.mockRestore() };
}

// Mutation: link-session.ts, `#startCopy` without `besideCopy = true`: whoever finds the change takes the end for lost.
test("case 60: a change that is stored before the end of its lane's copy says so, and one behind it does not", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  const client = source.client();
  await client.set("k", "v");
  const { stored, letPass, restore } = heldEnds();
  const changes = (): boolean[] => stored.filter(([kind]) => kind === BatchKind.changes).map(([, isBeside]) => isBeside);
  const intake = await startIntake(nats.url, source.port, "i1");
  await waitUntil("the copy is received", async () => (await shardOf(intake.bus))?.phase === "streaming");
  await client.set("k", "w");
  await waitUntil("the change is stored", () => changes().length > 0);
  expect(stored.map(([kind]) => kind)).not.toContain(BatchKind.snapshotEnd);
  letPass();
  await waitUntil("the end is stored", () => stored.some(([kind]) => kind === BatchKind.snapshotEnd));
  await client.set("k", "x");
  await waitUntil("the next change is stored", () => changes().includes(false));
  expect(changes()).toEqual([...changes().filter(Boolean), ...changes().filter((isBeside) => !isBeside)]);
  restore();
  await intake.stop();
});

/** A source that takes a second for its copy, and closes any link that lets 1 MB wait. */
const IMPATIENT = {
  "client-output-buffer-limit": "replica 1mb 1mb 1",
  "repl-backlog-size": "64mb",
  "rdb-key-save-delay": "2000",
};

// Mutation: copy-links.ts, `isSplit` false: the source closes the link in every copy, and none comes through.
test("what clients write while a copy is made waits nowhere: it is stored beside the copy", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start({ config: IMPATIENT });
  const client = source.client();
  for (let index = 0; index < 500; index++) await client.set(`k${index}`, "v");
  const intake = await startIntake(nats.url, source.port, "i1");
  await waitUntil("the copy has begun", async () => ((await shardOf(intake.bus))?.epoch ?? 0) > 0);
  const isEnough = { now: false };
  const writing = (async (): Promise<void> => {
    for (let index = 0; !isEnough.now; index++) await client.set("big", String(index).padEnd(400_000, "x"));
  })();
  await waitUntil("it streams", async () => (await shardOf(intake.bus))?.phase === "streaming");
  isEnough.now = true;
  await writing;
  const offset = Number(/master_repl_offset:(\d+)/.exec(await client.info("replication"))?.[1]);
  expect(await storedUpTo(intake.bus, offset)).toMatchObject({ epoch: 1 });
  const { live, snap } = await storedBatches(intake.bus);
  expect(snap.at(-1)).toMatchObject({ kind: BatchKind.snapshotEnd, last: 500 });
  const beside = live.filter(({ besideCopy }) => besideCopy).reduce((bytes, { body }) => bytes + body.length, 0);
  expect(beside).toBeGreaterThan(2_000_000);
  expect(await client.info("stats")).toMatch(/sync_full:1\r\nsync_partial_ok:1\r\nsync_partial_err:0\r\n/);
  await intake.stop();
});

// Mutation: link-session.ts, `#startCopy` without `removeVoidCopies`: every copy that breaks off stays in the stream for ever.
test("what copies that broke off have left goes once the next one has begun, but for the subject's last message", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  await source.client().set("k", "v");
  const bus = await Bus.connect({ url: nats.url, name: "former", log: silentLog() });
  const stream = bus.stream("p");
  await stream.ensure();
  const head = { shard: "s0", epoch: 4, term: 1, db: 0, replid: "r", body: Buffer.alloc(0), part: null, besideCopy: false };
  const store = async (subject: string, batch: Pick<Batch, "kind" | "previous" | "last" | "rows">): Promise<void> => {
    const expected = (await stream.tail(subject))?.sequence ?? 0;
    expect((await stream.append(subject, encodeBatch({ ...head, ...batch }), expected)).outcome).toBe("stored");
  };
  await store(liveSubject("p", "s0", 0), { kind: BatchKind.fence, previous: 100, last: 100, rows: null });
  for (let previous = 0; previous < 5; previous++) {
    const rows = new SnapshotRows(1);
    await store(snapSubject("p", 1, "s0", 0), { kind: BatchKind.snapshot, previous, last: previous, rows });
  }
  const intake = await startIntake(nats.url, source.port, "i1");
  await waitUntil("it streams", async () => (await shardOf(bus))?.phase === "streaming");
  const left = await waitUntil("the void copy is gone", async () => {
    const { snap } = await storedBatches(bus);
    const isEnded = snap.at(-1)?.kind === BatchKind.snapshotEnd;
    return isEnded && snap.filter(({ epoch }) => epoch === 4).length <= 1 ? snap : null;
  });
  expect(left.map(({ epoch, kind }) => [epoch, kind])).toEqual([
    [4, BatchKind.snapshot],
    [5, BatchKind.snapshot],
    [5, BatchKind.snapshotEnd],
  ]);
  await intake.stop();
  await bus.close();
});

// Mutations seen to fail it: link-session.ts, `#close` without `beginIn`: the change is applied to database 0; lane-changes.ts, `beginIn` without a
// heartbeat: so it is for an ingest that begins anew.
test("a replica passes on its primary's stream, which selects no database behind the copy: its RDB says which one it is in", async () => {
  await using nats = await NatsServer.start();
  // Else a ping of the primary tells the lane the database within 10 s.
  await using primary = await RedisServer.start({ config: { "repl-ping-replica-period": "3600" } });
  await using source = await RedisServer.start({ replicaOf: primary });
  await source.waitForSync();
  const client = primary.client();
  await client.select(5);
  await client.set("before", "1");
  await source.waitForSync();
  const first = await startIntake(nats.url, source.port, "i1", { read: "replica" });
  await waitUntil("the copy is stored", async () => {
    const { snap } = await storedBatches(first.bus);
    return snap.at(-1)?.kind === BatchKind.snapshotEnd;
  });
  await first.stop();
  const second = await startIntake(nats.url, source.port, "i2", { read: "replica" });
  await waitUntil("it streams", async () => {
    const record = await shardOf(second.bus);
    return record?.phase === "streaming" && record.instance === "i2";
  });
  await client.set("behind", "2");
  const { rows, epoch } = await waitUntil("the change is stored", async () => {
    const { live } = await storedBatches(second.bus);
    return live.find(({ kind }) => kind === BatchKind.changes) ?? null;
  });
  expect([epoch, rows instanceof ChangeRows && [...rows.dbs].slice(0, rows.count)]).toEqual([1, [5]]);
  await second.stop();
});

// Mutation: rdb-reader.ts, the comparison of the checksum taken out: the damaged copy is closed with a snapshot-end.
test("case 69: an RDB whose checksum is wrong closes no copy, so that nothing is swept; it is asked for again. Without one it is taken", async () => {
  await using nats = await NatsServer.start();
  const rdb = readFileSync(rdbPath(VERSION));
  const damaged = Buffer.from(rdb);
  damaged[damaged.length - 1]! ^= 1;
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: damaged, stream: sets(0, 10) });
  const intake = await startIntake(nats.url, primary.port, "i1");
  const waiting = await waitUntil("it is asked for again", async () => {
    const retry = (await shardOf(intake.bus))?.retry ?? null;
    return primary.fullSyncs >= 2 && retry !== null ? retry : null;
  });
  expect(waiting.reason).toContain("the full copy can't be read");
  expect((await storedBatches(intake.bus)).snap.map(({ kind }) => kind)).not.toContain(BatchKind.snapshotEnd);
  const unchecked = Buffer.from(rdb);
  unchecked.fill(0, rdb.length - CRC_BYTES);
  primary.serve(unchecked);
  await storedUpTo(intake.bus, primary.finalOffset);
  const { snap } = await storedBatches(intake.bus);
  expect(snap.filter(({ kind }) => kind === BatchKind.snapshotEnd)).toHaveLength(1);
  expect(snap.at(-1)).toMatchObject({ kind: BatchKind.snapshotEnd });
  await intake.stop();
});

// Mutation: continuation.ts, `inBacklog` always ASK: the source is asked for what it has no more, without a permit for what follows.
test("case 29: the source's backlog was overrun while no ingest ran: one full copy, and no other", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start({ config: { "repl-backlog-size": "16kb" } });
  const client = source.client();
  await client.set("a", "1");
  const first = await startIntake(nats.url, source.port, "i1");
  await waitUntil("it streams", async () => (await shardOf(first.bus))?.phase === "streaming");
  await first.stop();
  for (let index = 0; index < 100; index++) await client.set(`k${index}`, "v".repeat(1_000));
  const second = await startIntake(nats.url, source.port, "i2");
  const streams = async (epoch: number): Promise<void> => {
    const offset = Number(/master_repl_offset:(\d+)/.exec(await client.info("replication"))?.[1]);
    const record = await storedUpTo(second.bus, offset);
    expect(record.epoch).toBe(epoch);
  };
  await waitUntil("it is copied anew", async () => (await shardOf(second.bus))?.epoch === 2);
  await streams(2);
  await client.call("CLIENT", "KILL", "TYPE", "replica");
  await client.set("b", "2");
  await streams(2);
  expect(await client.info("stats")).toMatch(/sync_full:2\r\nsync_partial_ok:3\r\nsync_partial_err:0\r\n/);
  await second.stop();
});

// Mutation: copy-tries.ts, `waitMs` always 0: the source forks again and again.
test("case 30: a source that cuts the link in every copy is left alone after three, says why, and is asked again later", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start({ config: IMPATIENT });
  // As from one before 6.2: copy and changes come over one link.
  await using gate = await Gate.open(source.port, Infinity, "rdb-only");
  const client = source.client();
  for (let index = 0; index < 500; index++) await client.set(`k${index}`, "v");
  const clock = new SkippingClock();
  const intake = await startIntake(nats.url, gate.port, "i1", { clock });
  const isEnough = { now: false };
  const writing = (async (): Promise<void> => {
    for (let index = 0; !isEnough.now; index++) await client.set("big", String(index).padEnd(400_000, "x"));
  })();
  const waiting = await waitUntil("it waits", async () => {
    const retry = (await shardOf(intake.bus))?.retry ?? null;
    return retry?.reason.includes("3 full copies in a row broke off") === true ? retry : null;
  });
  expect(waiting.reason).toContain("closed the replication link");
  isEnough.now = true;
  await writing;
  const forks = async (): Promise<number> => Number(/sync_full:(\d+)/.exec(await client.info("stats"))?.[1]);
  expect(await forks()).toBe(3);
  const term = (await shardOf(intake.bus))?.term ?? 0;
  await waitUntil("it has looked at the source again", async () => ((await shardOf(intake.bus))?.term ?? 0) >= term + 2);
  expect(await forks()).toBe(3);
  clock.skip(15_000);
  await waitUntil("the next copy comes through", async () => (await shardOf(intake.bus))?.phase === "streaming");
  expect(await forks()).toBe(4);
  await intake.stop();
});

// Mutation: copy-permit.ts, each holder with leases of its own name: both copy at the same time.
test("two shards of one host are copied one after the other, and the one that waits counts as copying", async () => {
  await using nats = await NatsServer.start();
  const config = { "rdb-key-save-delay": "10000" };
  await using first = await RedisServer.start({ config });
  await using second = await RedisServer.start({ config });
  for (const source of [first, second]) {
    const client = source.client();
    for (let index = 0; index < 200; index++) await client.set(`k${index}`, "v");
  }
  const one = await startIntake(nats.url, first.port, "i1");
  const isSending = async (bus: Bus, shard: string): Promise<boolean> => {
    const record = await shardOf(bus, shard);
    return record?.phase === "copying" && record.epoch > 0;
  };
  await waitUntil("the first one's copy has begun", async () => isSending(one.bus, "s0"));
  const two = await startIntake(nats.url, second.port, "i2", { shard: "s1" });
  let isOverlap = false;
  let isWaitTold = false;
  await waitUntil("both stream", async () => {
    // The second one first: it sends once, so that what is seen of the second was so while the first one was sending.
    const s1 = await shardOf(two.bus, "s1");
    const s0 = await shardOf(one.bus);
    if (s0?.phase === "copying" && s1?.phase === "copying") {
      if (s1.epoch > 0) isOverlap = true;
      else isWaitTold = true;
    }
    return s0?.phase === "streaming" && s1?.phase === "streaming";
  });
  expect([isOverlap, isWaitTold]).toEqual([false, true]);
  await one.stop();
  await two.stop();
});
