import { Bus } from "@sluice/bus";
import { keySlot, readDumpPayload } from "@sluice/redis";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import { BatchKind, SnapshotRows } from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WatchedLane } from "../watched-lane.sample.ts";

const ELEMENTS = 20_000;
const PARTS = 6;

let nats: NatsServer;
let source: RedisServer;
let server: RedisServer;
let bus: Bus;
beforeAll(async () => {
  [nats, source, server] = await Promise.all([NatsServer.start(), RedisServer.start(), RedisServer.start()]);
  bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
});

afterAll(async () => {
  await bus.close();
  await Promise.all([nats, source, server].map(async (each) => each[Symbol.asyncDispose]()));
});

/** The messages of one entry, as ingest cuts a value that is larger than they are; `previous`: entries before it. */
async function partsOf(key: string, previous: number) {
  const { type, value } = readDumpPayload(await source.client().dumpBuffer(key));
  const row = { expireAtMs: -1, access: 0, slot: keySlot(Buffer.from(key)), db: 0, type, accessKind: 0 };
  const bytes = Buffer.concat([Buffer.from(key), value]);
  const size = Math.ceil(bytes.length / PARTS);
  return Array.from({ length: PARTS }, (_, index) => {
    const rows = new SnapshotRows(1);
    // As it is known when the first part leaves: without the value.
    if (index === 0) rows.add({ ...row, length: key.length, keyLength: key.length });
    const final = index === PARTS - 1;
    const body = bytes.subarray(index * size, (index + 1) * size);
    const part = { id: previous, index, final };
    return { kind: BatchKind.snapshot, previous, last: previous + (final ? 1 : 0), rows, body, part };
  });
}

// Mutation: parted-entry.ts, `#take` collects what is built: nothing of the list stands there before its last part;
// snapshot-phase.ts, `#partsFrom` begins one message later: the stream lacks entries.
test("a value in parts is written as they come and shows when all have; a stream is read twice", async () => {
  const client = source.client();
  const numbers = Array.from({ length: ELEMENTS }, (_, index) => `element ${index}`);
  await client.rpush("list", ...numbers);
  const pipeline = client.pipeline();
  for (let index = 1; index <= 2_000; index++) pipeline.xadd("stream", `${index}-1`, "field", `value ${index}`);
  pipeline.xgroup("CREATE", "stream", "g", "0").xreadgroup("GROUP", "g", "c", "COUNT", 5, "STREAMS", "stream", ">");
  pipeline.xdel("stream", "2-1");
  await pipeline.exec();
  const [list, stream] = [await partsOf("list", 0), await partsOf("stream", 1)];
  await using lane = await WatchedLane.open(bus, async (opened) => {
    await opened.fence(1, 1, 100);
    for (const part of list.slice(0, -1)) await opened.append(part);
  });
  const there = server.client();
  lane.write("standalone", server.port);
  await waitUntil("what came of the list is written", async () => {
    const [built] = (await there.keys("*}:tmp:*:*-1")).filter((key) => key.endsWith("-1"));
    return built !== undefined && (await there.llen(built)) > ELEMENTS / 2;
  });
  expect(await there.exists("list")).toBe(0);
  for (const part of [...list.slice(-1), ...stream]) await lane.append(part);
  await lane.copyEnds(2);
  await waitUntil("the lane is live", async () => lane.isAt(100));
  expect(await there.lrange("list", 0, -1)).toEqual(numbers);
  expect(await there.xrange("stream", "-", "+")).toEqual(await client.xrange("stream", "-", "+"));
  const pending = async (of: typeof client): Promise<unknown[]> =>
    (await of.xpending("stream", "g", "-", "+", 10)).map((one) => (one as unknown[]).filter((_, at) => at !== 2));
  expect(await pending(there)).toEqual(await pending(client));
  expect(await there.keys("*}:tmp:*")).toEqual([]);
  await lane.stop();
});
