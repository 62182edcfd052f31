import { readFileSync } from "node:fs";
import { Bus, LaneStream } from "@sluice/bus";
import { NatsServer, rdbPath, RecordedPrimary, RedisServer, waitUntil } from "@sluice/testkit";
import { silentLog, systemClock, type Clock } from "@sluice/runtime";
import { BatchKind, decodeBatch, encodeBatch, liveSubject, snapSubject, SnapshotRows, type Batch } from "@sluice/wire";
import { expect, test, vi } from "vitest";
import { Gate, sets, shardOf, startIntake, storedBatches, storedUpTo } from "./running-intake.sample.ts";

const VERSION = "7.0.15";
const CRC_BYTES = 8;

/** A clock on which time can be made to pass; sleeps last as long as they do. */
class SkippingClock implements Clock {
  #skippedMs = 0;
  skip(ms: number): void {
    this.#skippedMs += ms;
  }
  nowMs(): number {
    return systemClock.nowMs() + this.#skippedMs;
  }
  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#skippedMs;
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

// Mutation: link-session.ts, `#pokeLane` without its condition: changes are stored before it is certain that the copy's end is.
test("case 60: the changes of a lane are stored behind the end of its copy", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  const client = source.client();
  await client.set("k", "v");
  const stored: BatchKind[] = [];
  let letEndPass = (): void => undefined;
  const mayEnd = new Promise<void>((resolve) => (letEndPass = resolve));
  // oxlint-disable-next-line typescript/unbound-method -- it is called with the `this` of whoever appends
  const actual = LaneStream.prototype.append;
  const append = vi.spyOn(LaneStream.prototype, "append");
  append.mockImplementation(async function held(this: LaneStream, subject, payload, expected) {
    const { kind } = decodeBatch(payload);
    if (kind === BatchKind.snapshotEnd) await mayEnd;
    stored.push(kind);
    return actual.call(this, subject, payload, expected);
  });
  const intake = await startIntake(nats.url, source.port, "i1");
  await waitUntil("the copy is received", async () => (await shardOf(intake.bus))?.phase === "streaming");
  await client.set("k", "w");
  await waitUntil("a change is received", async () => ((await shardOf(intake.bus))?.commands ?? 0) > 0);
  expect(stored.filter((kind) => kind === BatchKind.changes || kind === BatchKind.heartbeat)).toEqual([]);
  letEndPass();
  await waitUntil("the change is stored", () => stored.includes(BatchKind.changes));
  expect(stored.indexOf(BatchKind.snapshotEnd)).toBeLessThan(stored.indexOf(BatchKind.changes));
  append.mockRestore();
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
  const head = { shard: "s0", epoch: 4, term: 1, db: 0, replid: "r", body: Buffer.alloc(0), part: null };
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
    return snap.filter(({ epoch }) => epoch === 4).length <= 1 ? snap : null;
  });
  expect(left.map(({ epoch, kind }) => [epoch, kind])).toEqual([
    [4, BatchKind.snapshot],
    [5, BatchKind.snapshot],
    [5, BatchKind.snapshotEnd],
  ]);
  await intake.stop();
  await bus.close();
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
  expect(await client.info("stats")).toMatch(/sync_full:2\r\nsync_partial_ok:1\r\nsync_partial_err:0\r\n/);
  await second.stop();
});

// Mutation: copy-tries.ts, `waitMs` always 0: the source forks again and again.
test("case 30: a source that cuts the link in every copy is left alone after three, says why, and is asked again later", async () => {
  await using nats = await NatsServer.start();
  const config = {
    "client-output-buffer-limit": "replica 1mb 1mb 1",
    "repl-backlog-size": "16kb",
    "rdb-key-save-delay": "2000",
  };
  await using source = await RedisServer.start({ config });
  const client = source.client();
  for (let index = 0; index < 500; index++) await client.set(`k${index}`, "v");
  const clock = new SkippingClock();
  const intake = await startIntake(nats.url, source.port, "i1", { clock });
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
    const isFirst = await isSending(one.bus, "s0");
    if (isFirst && (await isSending(two.bus, "s1"))) isOverlap = true;
    const [s0, s1] = [await shardOf(one.bus), await shardOf(two.bus, "s1")];
    if (isFirst && s1?.phase === "copying") isWaitTold = true;
    return s0?.phase === "streaming" && s1?.phase === "streaming";
  });
  expect([isOverlap, isWaitTold]).toEqual([false, true]);
  await one.stop();
  await two.stop();
});
