import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { jetstream, jetstreamManager, type JetStreamManager, type StreamConfig } from "@nats-io/jetstream";
import { Halt, Retryable, silentLog } from "@sluice/runtime";
import { freePort, NatsServer, releasePort, SpawnedProcess, waitUntil } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import { Bus } from "./bus.ts";

const log = silentLog();
const subject = "sluice.p.live.s0.0";
const other = "sluice.p.live.s0.1";
const bytes = (text: string): Buffer => Buffer.from(text);

async function open(url: string) {
  const bus = await Bus.connect({ url, name: "test", log });
  return { bus, stream: bus.stream("p"), [Symbol.asyncDispose]: async () => bus.close() };
}

/** As an operator with the nats tool would, past the package. */
async function operate<T>(url: string, act: (manager: JetStreamManager) => Promise<T>): Promise<T> {
  const connection: NatsConnection = await connect({ servers: url });
  try {
    return await act(await jetstreamManager(connection));
  } finally {
    await connection.close();
  }
}

async function publish(url: string, to: string, payload: Uint8Array): Promise<void> {
  const connection = await connect({ servers: url });
  await jetstream(connection).publish(to, payload);
  await connection.close();
}

test("appends behind the expected message only, one subject independent of another", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server.url);
  const { stream } = held;
  expect(await stream.size()).toBeNull();
  expect(await stream.tail(subject)).toBeNull();
  await stream.ensure();
  await stream.ensure();
  expect(await stream.size()).toEqual({ messages: 0, bytes: 0, limitBytes: null });
  expect(await stream.tail(subject)).toBeNull();
  expect(await stream.append(subject, bytes("a"), 0)).toEqual({ outcome: "stored", sequence: 1 });
  expect(await stream.append(subject, bytes("x"), 0)).toEqual({ outcome: "refused" });
  expect(await stream.append(other, bytes("b"), 0)).toEqual({ outcome: "stored", sequence: 2 });
  expect(await stream.append(subject, bytes("a"), 1)).toEqual({ outcome: "stored", sequence: 3 });
  expect(await stream.append(subject, bytes("x"), 2)).toEqual({ outcome: "refused" });
  const tail = await stream.tail(subject);
  expect([tail?.sequence, Buffer.from(tail?.payload ?? []).toString()]).toEqual([3, "a"]);
  expect((await stream.at(2))?.sequence).toBe(2);
  expect(await stream.at(4)).toBeNull();
  expect((await stream.size())?.messages).toBe(3);
  const first = await stream.identity();
  expect([typeof first, await stream.identity()]).toEqual(["string", first]);
  await stream.remove();
  await stream.remove();
  expect([await stream.size(), await stream.identity()]).toEqual([null, null]);
  await stream.ensure();
  expect(await stream.identity(), "another of the same name").not.toBe(first);
});

test("trim leaves the tail and what is expected behind it", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server.url);
  const { stream } = held;
  await stream.ensure();
  for (let sequence = 0; sequence < 5; sequence++) await stream.append(subject, bytes("a"), sequence);
  await stream.append(other, bytes("b"), 0);
  for (const nothing of [0, 1]) expect(await stream.trim(subject, nothing), "nothing is below the first").toBe(0);
  expect(await stream.trim(subject, 5)).toBe(4);
  expect(await stream.trim(subject, 5)).toBe(0);
  expect((await stream.tail(subject))?.sequence).toBe(5);
  expect((await stream.tail(other))?.sequence).toBe(6);
  expect(await stream.at(4)).toBeNull();
  expect(await stream.append(subject, bytes("x"), 4)).toEqual({ outcome: "refused" });
  expect(await stream.append(subject, bytes("a"), 5)).toEqual({ outcome: "stored", sequence: 7 });
});

test("an append that is under way when the server dies is unknown, at once, and the tail tells later", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server.url);
  const { stream } = held;
  await stream.ensure();
  await stream.append(subject, bytes("a"), 0);
  server.pause();
  const startedMs = performance.now();
  const result = stream.append(subject, bytes("b"), 1);
  const size = stream.size().catch((cause: unknown) => cause);
  await server.kill();
  expect((await result).outcome).toBe("unknown");
  expect(await size).toMatchObject({ code: "BUS-001" });
  expect((await stream.append(subject, bytes("c"), 1)).outcome).toBe("unknown");
  await expect(stream.tail(subject)).rejects.toBeInstanceOf(Retryable);
  expect(performance.now() - startedMs).toBeLessThan(4_000);
  await server.restart();
  const tail = await waitUntil("the tail is told", async () => stream.tail(subject));
  expect([1, 2]).toContain(tail.sequence);
  expect((await stream.append(subject, bytes("d"), tail.sequence)).outcome).toBe("stored");
});

describe("ensure refuses a stream that would not keep everything", () => {
  test.each<[string, Partial<StreamConfig>]>([
    ["discard", { discard: "old" }],
    ["max_age", { max_age: 3_600_000_000_000 }],
    ["retention", { retention: "interest" }],
    ["storage", { storage: "memory" }],
    ["max_msgs_per_subject", { max_msgs_per_subject: 5 }],
    ["subjects", { subjects: ["sluice.p.live.>"] }],
  ])("another %s", async (name, changed) => {
    await using server = await NatsServer.start();
    await using held = await open(server.url);
    const right = { name: "SLUICE_p", subjects: ["sluice.p.>"], discard: "new" as StreamConfig["discard"] };
    await operate(server.url, async (manager) => manager.streams.add({ ...right, ...changed }));
    const refused = await held.stream.ensure().catch((cause: unknown) => cause);
    expect(refused).toBeInstanceOf(Halt);
    expect(refused).toMatchObject({ code: "BUS-003", message: expect.stringContaining(name) as string });
  });

  test("but takes one with limits, which only refuse", async () => {
    await using server = await NatsServer.start();
    await using held = await open(server.url);
    const right = { name: "SLUICE_p", subjects: ["sluice.p.>"], discard: "new" as StreamConfig["discard"] };
    await operate(server.url, async (manager) => manager.streams.add({ ...right, max_bytes: 10_000, max_msgs: 7 }));
    await expect(held.stream.ensure()).resolves.toBeUndefined();
  });
});

// Mutation: lane-stream.ts, `limit` without the update: nothing is refused.
test("case 63: a limit makes the stream refuse and keep what it has; it can be moved, and taken away", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server.url);
  const { stream } = held;
  expect(await stream.limit(1_000_000)).toBeUndefined();
  await stream.ensure();
  expect(await stream.limit(1_000_000)).toBe(1_000_000);
  expect(await stream.limit(1_000_000)).toBe(1_000_000);
  await stream.ensure();
  const full = await fill(server.url, 30);
  expect(full).toMatchObject({ name: "Retryable", code: "BUS-005" });
  const size = await stream.size();
  expect(size).toMatchObject({ limitBytes: 1_000_000 });
  expect(size?.bytes).toBeGreaterThan(900_000);
  const tail = (await stream.tail(subject))?.sequence ?? 0;
  expect([tail, size?.messages]).toEqual([9, 9]);
  expect(await stream.limit(null)).toBeNull();
  expect((await stream.size())?.limitBytes).toBeNull();
  expect((await stream.append(subject, Buffer.alloc(100_000), tail)).outcome).toBe("stored");
  // The server would remove the oldest messages: a limit that is too low for what is there comes when that has shrunk.
  const storedBytes = (await stream.size())!.bytes;
  expect(await stream.limit(500_000)).toBe(storedBytes);
  expect(await stream.limit(500_000, 100_000)).toBe(storedBytes);
  expect((await stream.size())?.messages).toBe(10);
  await stream.trim(subject, 10);
  expect(await stream.limit(500_000, 100_000)).toBe(500_000);
  expect((await stream.size())?.messages).toBe(1);
});

/** Appends until it fails or `limit` batches are stored. */
async function fill(url: string, limit: number): Promise<unknown> {
  await using held = await open(url);
  await held.stream.ensure();
  for (let sequence = 0; sequence < limit; sequence++) {
    try {
      const result = await held.stream.append(subject, Buffer.alloc(100_000), sequence);
      if (result.outcome !== "stored") return result;
    } catch (cause) {
      return cause;
    }
  }
  return "all stored";
}

describe("what is full is waited for as BUS-005", () => {
  test.each([
    ["max_bytes", { max_bytes: 1_000_000 }],
    ["max_msgs", { max_msgs: 5 }],
  ])("a stream at its %s", async (_name, limits) => {
    await using server = await NatsServer.start();
    const right = { name: "SLUICE_p", subjects: ["sluice.p.>"], discard: "new" as StreamConfig["discard"] };
    await operate(server.url, async (manager) => manager.streams.add({ ...right, ...limits }));
    expect(await fill(server.url, 30)).toMatchObject({ name: "Retryable", code: "BUS-005" });
  });

  // Mutation: lane-stream.ts, FULL without 10002 and 10023: such a refusal is taken for an answer that was lost.
  test.each<[string, number | null, string]>([
    ["the server", null, "jetstream { store_dir: 'DIR', max_file_store: 3MB }"],
    [
      "the account",
      3 * 2 ** 20,
      "jetstream { store_dir: 'DIR' }\naccounts { A { jetstream { max_file: 3MB }, users: [{user: a, password: b}] } }\nno_auth_user: a",
    ],
  ])("case 65: the storage of %s, until there is room", async (_name, limitBytes, config) => {
    const dir = await mkdtemp(join(tmpdir(), "sluice-full-"));
    const port = await freePort();
    const file = join(dir, "nats.conf");
    await writeFile(file, `listen: 127.0.0.1:${port}\n${config.replace("DIR", dir)}\n`);
    const server = await SpawnedProcess.start({
      command: "nats-server",
      args: ["-c", file],
      remedy: "install nats-server",
      temporaryDir: dir,
    });
    try {
      const url = `nats://127.0.0.1:${port}`;
      await waitUntil("nats-server answers", async () => (await open(url))[Symbol.asyncDispose]().then(() => true), {
        details: () => server.logTail(),
      });
      const subjects = ["other"];
      await operate(url, async (manager) => manager.streams.add({ name: "other", subjects }));
      await publish(url, "other", Buffer.alloc(1_000_000));
      expect(await fill(url, 60)).toMatchObject({ name: "Retryable", code: "BUS-005" });
      await using held = await open(url);
      const { stream } = held;
      if (limitBytes === null) expect((await stream.size())?.limitBytes).toBeNull();
      else expect((await stream.size())?.limitBytes).toBeLessThan(limitBytes - 1_000_000);
      const tail = (await stream.tail(subject))?.sequence ?? 0;
      await operate(url, async (manager) => manager.streams.delete("other"));
      const stored = async () => (await stream.append(subject, Buffer.alloc(100_000), tail)).outcome === "stored";
      await waitUntil("it goes on as soon as there is room", stored);
    } finally {
      await server.kill();
      releasePort(port);
      await rm(dir, { recursive: true, force: true });
    }
  });
});

test("a batch of the largest size is stored, a larger one is refused, and the connection stays", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server.url);
  const { bus, stream } = held;
  await stream.ensure();
  expect(bus.maxBatchBytes).toBe(1_048_576 - 1024);
  const long = `sluice.p.snap.999999.s999999.${"9".repeat(5)}`;
  expect(await stream.append(long, Buffer.alloc(bus.maxBatchBytes), 0)).toEqual({ outcome: "stored", sequence: 1 });
  for (const more of [1, 1024, 1025, 5_000_000]) {
    await expect(stream.append(long, Buffer.alloc(bus.maxBatchBytes + more), 1)).rejects.toBeInstanceOf(RangeError);
  }
  expect(await stream.append(long, bytes("a"), 1)).toEqual({ outcome: "stored", sequence: 2 });
  await server.kill();
  await waitUntil("the loss is seen", async () => (await stream.append(long, bytes("b"), 2)).outcome === "unknown");
  expect(bus.maxBatchBytes).toBe(1_048_576 - 1024);
});

test("a bus that is not there is waited for, without its credentials in the message", async () => {
  const port = await freePort();
  const refused = await Bus.connect({ url: `nats://me:hunter2@127.0.0.1:${port}`, name: "test", log }).catch(
    (cause: unknown) => cause,
  );
  releasePort(port);
  expect(refused).toMatchObject({ name: "Retryable", code: "BUS-001" });
  expect(String(refused)).not.toContain("hunter2");
});
