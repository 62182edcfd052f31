import { Bus, type Leases, type Records } from "@sluice/bus";
import { silentLog, Retryable } from "@sluice/runtime";
import { NatsServer, rdbPath, RecordedPrimary, waitUntil } from "@sluice/testkit";
import { BatchKind, snapSubject, SnapshotRows, SnapshotType, type Batch } from "@sluice/wire";
import { expect, test, vi } from "vitest";
import { BacklogBound } from "../lanes/backlog-bound.ts";
import {
  bodyOf,
  Gate,
  intakeOf,
  putTopology,
  sets,
  shardOf as shard,
  startIntake as start,
  storedBatches as stored,
  storedUpTo,
} from "./running-intake.sample.ts";

const log = silentLog();
const snap = snapSubject("p", 1, "s0", 0);

function expectChain(batches: readonly Batch[]): void {
  for (const [index, batch] of batches.entries()) {
    const before = batches[index - 1];
    if (before !== undefined && before.epoch === batch.epoch) expect(batch.previous).toBe(before.last);
  }
}

test.each([
  ["7.0.15", "replication", [65_536]],
  ["7.0.15", "replication-diskless", [1000, 1]],
  ["2.8.24", "replication", [4096]],
  ["6.0.20", "replication-diskless", [333]],
] as const)(
  "stored-before-ack: the full copy and the stream of %s %s are in the lanes, and the source is vouched for nothing",
  async (version, recording, chunkSizes) => {
    await using nats = await NatsServer.start();
    await using primary = await RecordedPrimary.start({ version, recording, chunkSizes });
    const intake = await start(nats.url, primary.port, "i1");
    const record = await storedUpTo(intake.bus, primary.finalOffset);
    const batches = await stored(intake.bus);
    expectChain(batches.live);
    expectChain(batches.snap);
    expect(batches.live[0]).toMatchObject({
      kind: BatchKind.fence,
      epoch: 1,
      term: 1,
      last: primary.startOffset,
      replid: primary.replid,
    });
    expect(batches.live.at(-1)?.last).toBe(primary.finalOffset);
    const { copied } = record;
    expect(batches.snap.at(-1)).toMatchObject({ kind: BatchKind.snapshotEnd, epoch: 1 });
    const types = batches.snap.flatMap(({ rows }) => (rows instanceof SnapshotRows ? [...rows.types] : []));
    const loose = types.filter((type) => type === SnapshotType.functionLibrary || type === SnapshotType.script).length;
    expect([copied.keys, batches.snap.at(-1)?.last]).toEqual([types.length - loose, types.length]);
    expect(copied.keys).toBeGreaterThan(0);
    expect(new Set(primary.acks.map(({ offset }) => offset))).toEqual(new Set([0]));
    expect([primary.fullSyncs, primary.partialSyncs]).toEqual([1, 0]);
    await intake.stop();
  },
);

test("converges: an intake that ends inside the copy leaves it void: the next one copies anew, in another epoch", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "7.0.15", rdb: rdbPath("7.0.15"), stream: sets(0, 10) });
  await using gate = await Gate.open(primary.port, 60_000);
  const first = await start(nats.url, gate.port, "i1");
  await waitUntil("a part of the copy is stored", async () => first.bus.stream("p").tail(snap));
  await first.stop();
  expect(primary.acks).toEqual([]);
  gate.unbound();
  const second = await start(nats.url, gate.port, "i2");
  await storedUpTo(second.bus, primary.finalOffset);
  const batches = await stored(second.bus);
  const void1 = batches.snap.filter(({ epoch }) => epoch === 1);
  expect([void1.length > 0, void1.some(({ kind }) => kind === BatchKind.snapshotEnd)]).toEqual([true, false]);
  // What is void goes once the next epoch has begun.
  expect(batches.live.filter(({ kind, epoch }) => kind === BatchKind.fence && epoch > 1).map(({ term }) => term)).toEqual([2]);
  expectChain(batches.snap.filter(({ epoch }) => epoch === 2));
  expectChain(batches.live.filter(({ epoch }) => epoch === 2));
  expect(batches.snap.at(-1)).toMatchObject({ kind: BatchKind.snapshotEnd, epoch: 2 });
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([2, 0]);
  await second.stop();
});

test("applied-once: an intake that ends in the stream is resumed from the lanes' tails, without a gap or a duplicate", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "7.0.15" });
  const first = await start(nats.url, primary.port, "i1");
  await storedUpTo(first.bus, primary.finalOffset);
  await first.stop();
  const before = primary.finalOffset;
  primary.append(sets(0, 500));
  const second = await start(nats.url, primary.port, "i2");
  await storedUpTo(second.bus, primary.finalOffset);
  primary.disconnectAll();
  primary.append(sets(500, 500));
  await storedUpTo(second.bus, primary.finalOffset);
  const batches = await stored(second.bus);
  expectChain(batches.live);
  expect(batches.live.filter(({ kind }) => kind === BatchKind.fence).map(({ term }) => term)).toEqual([1, 2, 3]);
  expect(bodyOf(batches.live.filter(({ previous }) => previous >= before)).equals(sets(0, 1000))).toBe(true);
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([1, 2]);
  await second.stop();
});

test("stored-before-ack: while the bus does not answer nothing counts as stored, and the source still hears of us", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "7.0.15" });
  const intake = await start(nats.url, primary.port, "i1");
  await storedUpTo(intake.bus, primary.finalOffset);
  const before = primary.finalOffset;
  nats.pause();
  primary.append(sets(0, 200));
  // The report that is under way holds the next one up until its request has timed out.
  const count = primary.acks.length;
  await waitUntil("the source hears of us", () => primary.acks.length > count);
  nats.resume();
  await storedUpTo(intake.bus, primary.finalOffset);
  const batches = await stored(intake.bus);
  expect(bodyOf(batches.live.filter(({ previous }) => previous >= before)).equals(sets(0, 200))).toBe(true);
  await intake.stop();
});

// Mutation: lane-publisher.ts, a batch appended behind whatever the lane's tail is: the zombie's batches stand behind the owner's fence.
test("case 8: one-writer-per-lane: once another intake has taken the term, the former one can publish nothing more", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "7.0.15" });
  const bus = await Bus.connect({ url: nats.url, name: "zombie", log });
  await putTopology(bus);
  // An instance that was suspended: its lease is never lost, and no record tells it anything.
  const leases: Pick<Leases, "during"> = { during: async (_, stopping, work) => work(stopping) };
  let isAsleep = false;
  const records: Pick<Records, "get" | "compareAndSet" | "removeIf" | "watch"> = {
    get: async (key, schema) => bus.records.get(key, schema),
    removeIf: async (key, revision) => bus.records.removeIf(key, revision),
    watch: (filter, changed) => bus.records.watch(filter, changed),
    // Not left unanswered: its report waits for the answer, and it ends only behind its report.
    compareAndSet: async (...write) => {
      if (isAsleep) throw new Retryable("BUS-001", "bus", "no record is written");
      return bus.records.compareAndSet(...write);
    },
  };
  const suspended = { records, stream: (name: string) => bus.stream(name), maxBatchBytes: bus.maxBatchBytes } as unknown as Bus;
  const intake = intakeOf(suspended, leases as Leases, primary.port, "zombie");
  const zombie = intake.run(new AbortController().signal, () => undefined).catch((fault: unknown) => fault);
  await storedUpTo(bus, primary.finalOffset);
  isAsleep = true;
  const before = primary.finalOffset;
  const owner = await start(nats.url, primary.port, "owner");
  await waitUntil("the owner streams", async () => {
    const record = await shard(owner.bus);
    return record?.phase === "streaming" && record.instance === "owner";
  });
  primary.append(sets(0, 300));
  await storedUpTo(owner.bus, primary.finalOffset);
  expect(await zombie).toMatchObject({ code: "BUS-002" });
  const { live: batches } = await stored(owner.bus);
  expectChain(batches);
  const fence = batches.findIndex(({ term }) => term > 1);
  expect(batches[fence]?.kind).toBe(BatchKind.fence);
  expect(batches.slice(fence).map(({ term }) => term)).not.toContain(1);
  expect(bodyOf(batches.slice(fence)).equals(sets(0, 300))).toBe(true);
  expect(batches[fence]?.last).toBe(before);
  await owner.stop();
  await bus.close();
});

test("an intake that waits for the bus with its backlog full ends when it is asked to", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "7.0.15" });
  const intake = await start(nats.url, primary.port, "i1");
  await storedUpTo(intake.bus, primary.finalOffset);
  const waits = vi.spyOn(BacklogBound.prototype, "room");
  nats.pause();
  primary.append(sets(0, 400, 100_000));
  await waitUntil("the backlog is full", () => waits.mock.calls.length > 0);
  const stopped = intake.stop();
  nats.resume();
  await stopped;
  expect(waits).toHaveBeenCalled();
  waits.mockRestore();
});
