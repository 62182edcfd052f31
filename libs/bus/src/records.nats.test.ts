import { setImmediate as turn } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { silentLog } from "@sluice/runtime";
import { NatsServer, waitUntil } from "@sluice/testkit";
import { epochRecord, leaseRecord, recordKey, RECORDS_BUCKET } from "@sluice/wire";
import { expect, test } from "vitest";
import { Bus } from "./bus.ts";
import { RecordError, type RecordChange } from "./records.ts";

const key = recordKey.epoch("p");

async function open(server: NatsServer) {
  const bus = await Bus.connect({ url: server.url, name: "test", log: silentLog() });
  return { bus, records: bus.records, [Symbol.asyncDispose]: async () => bus.close() };
}

/** Writes a record by hand. */
async function writeRaw(server: NatsServer, name: string, text: string): Promise<void> {
  const connection = await connect({ servers: server.url });
  const bucket = await new Kvm(jetstream(connection)).open(RECORDS_BUCKET);
  await bucket.put(name, text);
  await connection.close();
}

test("compare-and-set writes only from the revision that it names", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { records } = held;
  expect(await records.get(key, epochRecord)).toBeNull();
  expect(await records.compareAndSet(key, epochRecord, { epoch: 1 }, 7)).toBeNull();
  const first = await records.compareAndSet(key, epochRecord, { epoch: 1 }, 0);
  expect(first).toBe(1);
  expect(await records.compareAndSet(key, epochRecord, { epoch: 9 }, 0)).toBeNull();
  const second = await records.compareAndSet(key, epochRecord, { epoch: 2 }, 1);
  expect(await records.compareAndSet(key, epochRecord, { epoch: 9 }, 1)).toBeNull();
  expect(await records.get(key, epochRecord)).toEqual({ value: { epoch: 2 }, revision: second });
  await records.remove(key);
  expect(await records.get(key, epochRecord)).toBeNull();
  expect(await records.compareAndSet(key, epochRecord, { epoch: 3 }, 0)).toBeGreaterThan(second as number);
  const many = await Promise.all(
    Array.from({ length: 10 }, async () => records.compareAndSet(recordKey.epoch("q"), epochRecord, { epoch: 1 }, 0)),
  );
  expect(many.filter((revision) => revision !== null)).toHaveLength(1);
});

test("a record that breaks its schema is an error that names it and its faults", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { records } = held;
  await writeRaw(server, key, '{"epoch": -1}');
  await expect(records.get(key, epochRecord)).rejects.toThrow(RecordError);
  await expect(records.get(key, epochRecord)).rejects.toThrow(
    /^record pipeline\.p\.epoch is not what this release writes: epoch: /,
  );
  await writeRaw(server, key, "{");
  await expect(records.get(key, epochRecord)).rejects.toThrow("record pipeline.p.epoch is no JSON");
  await expect(records.put(key, epochRecord, { epoch: 0.5 })).rejects.toThrow("record pipeline.p.epoch is not");
  await expect(records.compareAndSet(key, epochRecord, { epoch: -1 }, 0)).rejects.toThrow("record pipeline.p.epoch is not");
});

test("a watch tells what is, what changes, and all of it again after the server was restarted", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { records } = held;
  await records.put(recordKey.lease("a"), leaseRecord, { holder: "1" });
  await records.put(key, epochRecord, { epoch: 1 });
  const seen: RecordChange[] = [];
  const unwatch = records.watch("lease.>", (change) => seen.push(change));
  await waitUntil("the current record", () => seen.length === 1);
  await records.put(recordKey.lease("b"), leaseRecord, { holder: "2" });
  await records.remove(recordKey.lease("a"));
  await waitUntil("the changes", () => seen.length === 3);
  expect(seen.map(({ key: name, value }) => [name, value])).toEqual([
    ["lease.a", { holder: "1" }],
    ["lease.b", { holder: "2" }],
    ["lease.a", null],
  ]);
  seen.length = 0;
  await server.restart("SIGKILL");
  await waitUntil("the records again", () => seen.some(({ key: name }) => name === "lease.b"));
  await waitUntil("a change", async () => records.put(recordKey.lease("c"), leaseRecord, { holder: "3" }));
  await waitUntil("is seen", () => seen.some(({ key: name }) => name === "lease.c"));
  unwatch();
  seen.length = 0;
  await records.put(recordKey.lease("d"), leaseRecord, { holder: "4" });
  const control: RecordChange[] = [];
  const stop = records.watch("lease.d", (change) => control.push(change));
  await waitUntil("another watch sees it", () => control.length > 0);
  stop();
  expect(seen).toEqual([]);
});

test("a watch goes on behind a record that is no JSON and behind an observer that throws", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { records } = held;
  const seen: string[] = [];
  await writeRaw(server, recordKey.lease("broken"), "{");
  records.watch("lease.>", ({ key: name }) => {
    seen.push(name);
    if (name === "lease.a") throw new Error("observer");
  });
  await records.put(recordKey.lease("a"), leaseRecord, { holder: "1" });
  await records.put(recordKey.lease("b"), leaseRecord, { holder: "1" });
  await waitUntil("the one behind", () => seen.includes("lease.b"));
  expect(seen).toEqual(["lease.a", "lease.b"]);
});

test("an ended watch is fed no longer, although it was ended before it had begun", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { records } = held;
  const connection = await connect({ servers: server.url });
  const manager = await jetstreamManager(connection);
  // What nobody listens to any more the server forgets by itself.
  const made = new Set<string>();
  const fed = async (): Promise<number> => {
    let count = 0;
    for await (const { name, push_bound: isFed } of manager.consumers.list(`KV_${RECORDS_BUCKET}`)) {
      made.add(name);
      if (isFed) count++;
    }
    return count;
  };
  const kept = records.watch("lease.>", () => undefined);
  for (let i = 0; i < 5; i++) records.watch("lease.>", () => undefined)();
  await waitUntil("all were made, one is fed", async () => (await fed()) === 1 && made.size === 6);
  kept();
  await waitUntil("none is fed", async () => (await fed()) === 0);
  await connection.close();
  expect(made.size).toBe(6);
});

test("what is asked while the bus is away fails at once as BUS-001", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { records } = held;
  await records.put(key, epochRecord, { epoch: 1 });
  server.pause();
  const asked = records.get(key, epochRecord).catch((cause: unknown) => cause);
  await server.kill();
  expect(await asked).toMatchObject({ name: "Retryable", code: "BUS-001", endpoint: "bus" });
  const refused = records.compareAndSet(key, epochRecord, { epoch: 2 }, 1).catch((cause: unknown) => cause);
  expect(await Promise.race([refused, turn("it waits")])).toMatchObject({ code: "BUS-001" });
  await server.restart();
  expect(await waitUntil("it is back", async () => records.get(key, epochRecord))).toMatchObject({ value: { epoch: 1 } });
});

// Mutation: records.ts, `keys` by the bucket's own `keys`: within some hundred times one does not end.
test("keys are told while records are written all the time", async () => {
  await using server = await NatsServer.start();
  await using writing = await open(server);
  await using asking = await open(server);
  const lanes = Array.from({ length: 25 }, (_, lane) => recordKey.epoch(`p${lane}`));
  for (const lane of lanes) await writing.records.put(lane, epochRecord, { epoch: 1 });
  await writing.records.put("other", epochRecord, { epoch: 1 });
  const ending = new AbortController();
  const written = (async () => {
    for (let epoch = 2; !ending.signal.aborted; epoch++) {
      await writing.records.put(lanes[epoch % lanes.length]!, epochRecord, { epoch });
      // As often as some lanes report, and never so fast that the bus is kept busy.
      await new Promise((next) => setTimeout(next, 3));
    }
  })();
  for (let round = 0; round < 300; round++)
    expect((await asking.records.keys(recordKey.epoch("*"))).toSorted()).toEqual(lanes.toSorted());
  ending.abort();
  await written;
  await writing.records.remove(lanes[0]!);
  expect((await asking.records.keys(recordKey.epoch("*"))).toSorted()).toEqual(lanes.slice(1).toSorted());
  expect(await asking.records.keys(recordKey.epoch("nobody"))).toEqual([]);
  expect(await asking.records.keys("other")).toEqual(["other"]);
});
