import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { setImmediate as turn } from "node:timers/promises";
import { silentLog } from "@sluice/runtime";
import { NatsServer, waitUntil } from "@sluice/testkit";
import { expect, test } from "vitest";
import { Bus } from "./bus.ts";
import type { LaneReader } from "./lane-reader.ts";

const one = "sluice.p.live.s0.0";
const two = "sluice.p.live.s0.1";
const WINDOW = 32;

async function open(server: NatsServer) {
  const bus = await Bus.connect({ url: server.url, name: "test", log: silentLog() });
  const stream = bus.stream("p");
  await stream.ensure();
  return { bus, stream, [Symbol.asyncDispose]: async () => bus.close() };
}

type Held = Awaited<ReturnType<typeof open>>;

/** Appends numbered messages to a subject; the sequences they got. */
async function append({ stream }: Held, subject: string, from: number, count: number, sizeBytes = 4): Promise<number[]> {
  const sequences: number[] = [];
  let expected = (await stream.tail(subject))?.sequence ?? 0;
  const payload = Buffer.alloc(sizeBytes);
  for (let number = from; number < from + count; number++) {
    payload.writeUInt32LE(number);
    const result = await stream.append(subject, payload, expected);
    if (result.outcome !== "stored") throw new Error(result.outcome);
    expected = result.sequence;
    sequences.push(expected);
  }
  return sequences;
}

async function take(reader: LaneReader, count: number): Promise<{ number: number; sequence: number }[]> {
  const taken: { number: number; sequence: number }[] = [];
  while (taken.length < count) {
    const message = await reader.next();
    if (message === null) throw new Error("closed");
    taken.push({ number: Buffer.from(message.payload).readUInt32LE(), sequence: message.sequence });
  }
  return taken;
}

const failureOf = async (work: Promise<unknown>): Promise<unknown> => work.catch((cause: unknown) => cause);
const numbers = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);

test("reads two subjects of one stream, each complete and in order, from any sequence", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const sequences: number[] = [];
  for (let round = 0; round < 20; round++) {
    sequences.push(...(await append(held, one, round * 5, 5)));
    await append(held, two, round * 3, 3);
  }
  const first = await held.stream.read(one, 0);
  const second = await held.stream.read(two, 1);
  const middle = await held.stream.read(one, (sequences[50] as number) - 1);
  const [firstTaken, secondTaken, middleTaken] = await Promise.all([take(first, 100), take(second, 60), take(middle, 50)]);
  expect(firstTaken.map(({ number }) => number)).toEqual(numbers(0, 100));
  expect(firstTaken.map(({ sequence }) => sequence)).toEqual(sequences);
  expect(secondTaken.map(({ number }) => number)).toEqual(numbers(0, 60));
  expect(middleTaken.map(({ number }) => number)).toEqual(numbers(50, 50));
  expect(first.nextIfReady()).toBeUndefined();
  await append(held, one, 100, 1);
  expect((await take(first, 1))[0]?.number).toBe(100);
  await Promise.all([first.close(), second.close(), middle.close()]);
});

test("holds no more than its window, and nothing that was taken, however slow it is read", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const sizeBytes = 900_000;
  await append(held, one, 0, 300, sizeBytes);
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const reader = await held.stream.read(one, 1);
  const taken: WeakRef<Uint8Array>[] = [];
  for (let at = 0; at < 200; at++) {
    const message = await reader.next();
    taken.push(new WeakRef(message?.payload as Uint8Array));
  }
  await turn();
  collect();
  const alive = taken.filter((payload) => payload.deref() !== undefined).length;
  expect(alive).toBeLessThanOrEqual(3);
  let ready = 0;
  while (reader.nextIfReady() !== undefined) ready++;
  expect(ready).toBeLessThanOrEqual(WINDOW);
  await reader.close();
}, 120_000);

test("gives no more messages than its window holds without another request", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  await append(held, one, 0, 500);
  const reader = await held.stream.read(one, 1);
  await take(reader, 1);
  await waitUntil("what was asked for has come", () => held.bus.figures.batchesRead >= 1 + WINDOW);
  // A round trip behind the delivery: no more has come.
  await held.stream.size();
  await held.stream.size();
  let ready = 0;
  while (reader.nextIfReady() !== undefined) ready++;
  expect(ready).toBe(WINDOW);
  expect((await take(reader, 1))[0]?.number).toBe(ready + 1);
  await reader.close();
});

test("close ends a waiting next, drops what is in memory, and may be called twice", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const empty = await held.stream.read(one, 1);
  const waiting = empty.next();
  await empty.close();
  await empty.close();
  expect(await waiting).toBeNull();
  await append(held, one, 0, 10);
  const full = await held.stream.read(one, 1);
  await take(full, 1);
  await full.close();
  expect(full.nextIfReady()).toBeUndefined();
  expect(await full.next()).toBeNull();
});

test("breaks off when the server is killed, and another reader goes on with nothing missing", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  await append(held, one, 0, 20);
  const reader = await held.stream.read(one, 1);
  const before = await take(reader, 20);
  const waiting = failureOf(reader.next());
  const startedMs = performance.now();
  await server.kill();
  expect(await waiting).toMatchObject({ name: "Retryable", code: "BUS-001" });
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  await reader.close();
  await server.restart();
  await waitUntil("the bus is back", async () => (await held.stream.size())?.messages === 20);
  const next = await held.stream.read(one, (before.at(-1)?.sequence ?? 0) + 1);
  await append(held, one, 20, 20);
  expect((await take(next, 20)).map(({ number }) => number)).toEqual(numbers(20, 20));
  await next.close();
}, 60_000);

test("breaks off when the server stands still, and when its consumer is gone", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const reader = await held.stream.read(one, 1);
  const waiting = failureOf(reader.next());
  server.pause();
  expect(await waiting).toMatchObject({ name: "Retryable", code: "BUS-001" });
  server.resume();
  await reader.close();
  await waitUntil("the bus is back", async () => held.stream.size());
  const second = await held.stream.read(one, 1);
  const gone = failureOf(second.next());
  await held.stream.remove();
  expect(await gone).toMatchObject({ name: "Retryable", code: "BUS-001" });
  await second.close();
}, 60_000);

test("stays open while nothing is written, and while its reader takes nothing for longer than silence may last", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  await append(held, one, 0, 40);
  const reader = await held.stream.read(one, 1);
  await take(reader, 1);
  const idle = await held.stream.read(two, 1);
  const startedMs = performance.now();
  await waitUntil("time has passed", () => performance.now() - startedMs > 4_500, { everyMs: 100 });
  expect((await take(reader, 39)).map(({ number }) => number)).toEqual(numbers(1, 39));
  const later = performance.now();
  await waitUntil("heartbeats were due", () => performance.now() - later > 2_500, { everyMs: 100 });
  await append(held, two, 7, 1);
  await append(held, one, 40, 1);
  expect((await take(idle, 1))[0]?.number).toBe(7);
  expect((await take(reader, 1))[0]?.number).toBe(40);
  await Promise.all([reader.close(), idle.close()]);
}, 60_000);
