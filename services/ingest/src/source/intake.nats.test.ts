import { connect, createServer, type Server, type Socket } from "node:net";
import { Bus, Leases } from "@sluice/bus";
import { encodeCommand } from "@sluice/redis";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import { freePort, NatsServer, rdbPath, RecordedPrimary, waitUntil } from "@sluice/testkit";
import {
  BatchKind,
  decodeBatch,
  liveSubject,
  recordKey,
  shardRecord,
  SlotSet,
  snapSubject,
  SnapshotRows,
  SnapshotType,
  topologyRecord,
  type Batch,
  type ShardRecord,
} from "@sluice/wire";
import { expect, test, vi } from "vitest";
import { BacklogBound } from "../lanes/backlog-bound.ts";
import { SourceIntake } from "./intake.ts";

const log = silentLog();
const [live, snap] = [liveSubject("p", "s0", 0), snapSubject("p", 1, "s0", 0)];

interface Running {
  readonly bus: Bus;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** What the router writes before an intake is assigned. */
async function putTopology(bus: Bus): Promise<void> {
  const shards = [{ id: "s0", host: "127.0.0.1", port: 1, slots: SlotSet.all().toString(), floor: 0 }];
  await bus.records.put(recordKey.topology("p"), topologyRecord, { mode: "standalone", lanes: 1, shards, events: [] });
}

function intakeOf(bus: Bus, leases: Leases, port: number, instance: string): SourceIntake {
  return new SourceIntake({
    pipeline: "p",
    shard: "s0",
    cut: 1,
    slots: SlotSet.all(),
    floor: 0,
    endpoint: { host: "127.0.0.1", port },
    instance,
    bus,
    leases,
    clock: systemClock,
    log,
  });
}

/** An intake under its supervisor. */
async function start(url: string, port: number, instance: string): Promise<Running> {
  const bus = await Bus.connect({ url, name: instance, log });
  await putTopology(bus);
  const leases = new Leases(bus.records, instance, systemClock, log);
  const stopping = new AbortController();
  const ended = supervise(intakeOf(bus, leases, port, instance), stopping.signal, systemClock, log);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
    leases.close();
    await bus.close();
  };
  return { bus, ended, stop };
}

async function shard(bus: Bus): Promise<ShardRecord | undefined> {
  return (await bus.records.get(recordKey.shard("p", "s0"), shardRecord))?.value;
}

async function storedUpTo(bus: Bus, offset: number): Promise<ShardRecord> {
  return waitUntil(`everything up to ${offset} is stored`, async () => {
    const record = await shard(bus);
    return record?.phase === "streaming" && record.storedOffset === offset ? record : null;
  });
}

interface Stored {
  readonly live: Batch[];
  readonly snap: Batch[];
}

/** Every message of the stream, by what it says it is. */
async function stored(bus: Bus): Promise<Stored> {
  const stream = bus.stream("p");
  const tails = await Promise.all([stream.tail(live), stream.tail(snap)]);
  const found: Stored = { live: [], snap: [] };
  for (let sequence = 1; sequence <= Math.max(...tails.map((tail) => tail?.sequence ?? 0)); sequence++) {
    const message = await stream.at(sequence);
    const batch = decodeBatch(message?.payload ?? Buffer.alloc(0));
    (batch.kind === BatchKind.snapshot || batch.kind === BatchKind.snapshotEnd ? found.snap : found.live).push(batch);
  }
  return found;
}

function expectChain(batches: readonly Batch[]): void {
  for (const [index, batch] of batches.entries()) {
    const before = batches[index - 1];
    if (before !== undefined && before.epoch === batch.epoch) expect(batch.previous).toBe(before.last);
  }
}

function sets(from: number, count: number, bytes = 10): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, n) => encodeCommand(["SET", `k${from + n}`, "v".repeat(bytes)])));
}

function bodyOf(batches: readonly Batch[]): Buffer {
  return Buffer.concat(batches.map(({ body }) => body));
}

/** Lets so many bytes of a primary pass, and the rest once it is opened. */
class Gate implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #room: number;

  private constructor(port: number, target: number, room: number) {
    this.port = port;
    this.#room = room;
    this.#server = createServer((client) => {
      const upstream = connect({ host: "127.0.0.1", port: target });
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => [client, upstream].map((either) => either.destroy()));
      }
      client.on("data", (chunk) => upstream.write(chunk));
      upstream.on("data", (chunk: Buffer) => {
        client.write(chunk.subarray(0, this.#room));
        this.#room = Math.max(0, this.#room - chunk.length);
      });
    });
  }

  static async open(target: number, room: number): Promise<Gate> {
    const gate = new Gate(await freePort(), target, room);
    await new Promise<void>((resolve) => gate.#server.listen(gate.port, "127.0.0.1", resolve));
    return gate;
  }

  /** From here on everything passes; on links that lost something meanwhile nothing more is sent. */
  unbound(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#room = Infinity;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.unbound();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

test.each([
  ["7.0.15", "replication", [65_536]],
  ["7.0.15", "replication-diskless", [1000, 1]],
  ["2.8.24", "replication", [4096]],
  ["6.0.20", "replication-diskless", [333]],
] as const)(
  "stored-before-ack: the full copy and the stream of %s %s are in the lanes, and acknowledged less one byte",
  async (version, recording, chunkSizes) => {
    await using nats = await NatsServer.start();
    await using primary = await RecordedPrimary.start({ version, recording, chunkSizes });
    const intake = await start(nats.url, primary.port, "i1");
    const record = await storedUpTo(intake.bus, primary.finalOffset);
    await primary.waitForAck(primary.finalOffset - 1);
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
    expect(Math.max(...primary.acks.map(({ offset }) => offset))).toBe(primary.finalOffset - 1);
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
  expect(batches.live.filter(({ kind }) => kind === BatchKind.fence).map(({ epoch, term }) => [epoch, term])).toEqual([
    [1, 1],
    [2, 2],
  ]);
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

test("stored-before-ack: while the bus does not answer, acknowledgements stand still, and go on when it does", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "7.0.15" });
  const intake = await start(nats.url, primary.port, "i1");
  await storedUpTo(intake.bus, primary.finalOffset);
  const before = primary.finalOffset;
  await primary.waitForAck(before - 1);
  nats.pause();
  primary.append(sets(0, 200));
  // The report that is under way holds the next acknowledgement up until its request has timed out.
  const count = primary.acks.length;
  await waitUntil("it acknowledges again", () => primary.acks.length >= count + 1, { timeoutMs: 20_000 });
  expect(Math.max(...primary.acks.map(({ offset }) => offset))).toBe(before - 1);
  nats.resume();
  await primary.waitForAck(primary.finalOffset - 1, 30_000);
  const batches = await stored(intake.bus);
  expect(bodyOf(batches.live.filter(({ previous }) => previous >= before)).equals(sets(0, 200))).toBe(true);
  await intake.stop();
});

test("one-writer-per-lane: once another intake has taken the term, the former one can publish nothing more", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "7.0.15" });
  const bus = await Bus.connect({ url: nats.url, name: "zombie", log });
  await putTopology(bus);
  // A lease that is never lost: an instance that was suspended and knows nothing.
  const leases: Pick<Leases, "during"> = { during: async (_, stopping, work) => work(stopping) };
  const ended = intakeOf(bus, leases as Leases, primary.port, "zombie").run(new AbortController().signal, () => undefined);
  const zombie = ended.catch((fault: unknown) => fault);
  await storedUpTo(bus, primary.finalOffset);
  const before = primary.finalOffset;
  const owner = await start(nats.url, primary.port, "owner");
  await waitUntil(
    "the owner streams",
    async () => (await shard(owner.bus))?.phase === "streaming" && (await shard(owner.bus))?.instance === "owner",
  );
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
