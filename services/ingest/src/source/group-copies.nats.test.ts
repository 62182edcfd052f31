import { readFileSync } from "node:fs";
import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer, rdbPath, RecordedPrimary, RedisServer, waitUntil } from "@sluice/testkit";
import {
  BatchKind,
  copyOffsetOf,
  decodeBatch,
  recordKey,
  shardRecord,
  snapSubject,
  specRecord,
  voidCopiesRecord,
  type Batch,
  type GroupCopy,
} from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sets, shardOf, startIntake, storedBatches, storedUpTo } from "./running-intake.sample.ts";

let source: RedisServer;
beforeAll(async () => {
  source = await RedisServer.start();
});
afterAll(async () => source[Symbol.asyncDispose]());

/** The pipeline's spec as an edit leaves it that adds these groups, each as the addition of that number. */
async function add(bus: Bus, groups: Readonly<Record<string, number>>): Promise<void> {
  const names = ["main", ...Object.keys(groups)];
  const destinations = names.map((group) => ({ group, url: `redis://${group}:1` }));
  const additions = Object.fromEntries(Object.entries(groups).map(([group, number]) => [group, { number, above: 0 }]));
  const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations };
  const lastAddition = Math.max(0, ...Object.values(groups));
  await bus.records.put(recordKey.spec("p"), specRecord, {
    pipeline,
    desired: "running",
    createdAt: 1,
    additions,
    lastAddition,
  });
}

async function copiesOf(bus: Bus): Promise<readonly GroupCopy[]> {
  return (await shardOf(bus))?.copies ?? [];
}

async function storedCopy(bus: Bus, copy: number): Promise<GroupCopy> {
  return waitUntil(
    `copy ${copy} is stored`,
    async () => (await copiesOf(bus)).find((one) => one.copy === copy && one.phase === "stored") ?? null,
  );
}

/** What stands in the stream of a copy. */
async function copyIn(bus: Bus, copy: number): Promise<Batch[]> {
  const subject = snapSubject("p", copy, "s0", 0);
  const tail = await bus.stream("p").tail(subject);
  const found: Batch[] = [];
  if (tail === null) return found;
  const reader = await bus.stream("p").read(subject, 1);
  for (let sequence = 0; sequence < tail.sequence;) {
    const message = await reader.next();
    if (message === null) break;
    sequence = message.sequence;
    found.push(decodeBatch(message.payload));
  }
  await reader.close();
  return found;
}

// Mutations: group-copies.ts, groups copied one by one: there are copies 2 and 3; link-session.ts, `#letJoin` at +CONTINUE alone: none is made
// before the link breaks; group-copy-link.ts, `finish()` without the offset: nobody knows where the lane goes on.
test("groups that come while changes flow get one copy over a link of its own, and the first link never notices", async () => {
  await using nats = await NatsServer.start();
  const client = source.client();
  await client.flushall();
  await client.mset(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`k${n}`, "v".repeat(100)])));
  const intake = await startIntake(nats.url, source.port, "i1");
  const { bus } = intake;
  await add(bus, {});
  const before = await waitUntil("it streams", async () => {
    const record = await shardOf(bus);
    return record?.phase === "streaming" ? record : null;
  });
  const links = Number(/sync_full:(\d+)/.exec(await client.info("stats"))?.[1]);
  await add(bus, { more: 1, third: 2 });
  for (let n = 0; n < 100; n++) await client.incr("n");
  const copy = await storedCopy(bus, 2);
  expect(copy).toMatchObject({ epoch: before.epoch, groups: { more: 1, third: 2 }, replid: before.replid });
  const batches = await copyIn(bus, 2);
  const end = batches.at(-1)!;
  expect([end.kind, end.epoch, end.term, end.replid, copyOffsetOf(end)]).toEqual([
    BatchKind.snapshotEnd,
    before.epoch,
    before.term,
    before.replid,
    copy.offset,
  ]);
  expect(end.last).toBeGreaterThanOrEqual(500);
  expect(end.last).toBe(copy.copied.keys);
  await storedUpTo(bus, copy.offset);
  const after = (await shardOf(bus))!;
  expect([after.epoch, after.term, after.copy]).toEqual([before.epoch, before.term, 1]);
  expect(Number(/sync_full:(\d+)/.exec(await client.info("stats"))?.[1])).toBe(links + 1);
  // The source keeps no link for it any more, and S lies in the changes that are stored.
  await waitUntil("the link is gone", async () => (await client.info("replication")).includes("connected_slaves:1\r"));
  const { live } = await storedBatches(bus);
  expect(
    live.some(({ previous, last, replid }) => previous <= copy.offset && copy.offset <= last && replid === copy.replid),
  ).toBe(true);

  // Refused by one of them: that one gets another, and the other keeps what it has.
  const why = { epoch: before.epoch, copy: 2, why: "test" };
  await bus.records.put(recordKey.voidCopies("p", "s0"), voidCopiesRecord, { groups: { more: why } });
  expect((await storedCopy(bus, 3)).groups).toEqual({ more: 1 });
  expect((await copiesOf(bus)).map(({ copy: number, groups }) => [number, groups])).toEqual([
    [2, { third: 2 }],
    [3, { more: 1 }],
  ]);
  // Taken away: what it had goes.
  await add(bus, { more: 1 });
  await waitUntil("copy 2 is removed", async () => (await copiesOf(bus)).every((one) => one.copy === 3));
  expect(await copyIn(bus, 2)).toEqual([]);
  await intake.stop();
});

// Mutations: copy-plan.ts, a copy that is under way by the record left as it is: the second intake waits for a copy that nobody makes;
// group-copies.ts, `#proven` that proves nothing: a copy that is whole is made once more.
test("an intake that ends inside such a copy leaves a void one; the next makes another, in the same epoch, and removes what is left", async () => {
  await using nats = await NatsServer.start();
  const client = source.client();
  await client.flushall();
  await client.config("SET", "rdbcompression", "no");
  await client.mset(Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`k${n}`, `${n}`.repeat(100)])));
  const first = await startIntake(nats.url, source.port, "i1", { copyLimits: { copyBytesPerSecond: 400_000 } });
  await waitUntil("it streams", async () => (await shardOf(first.bus))?.phase === "streaming");
  const { epoch } = (await shardOf(first.bus))!;
  await add(first.bus, { more: 1 });
  await waitUntil("a part of the copy is stored", async () => (await copyIn(first.bus, 2)).length > 0);
  expect((await copiesOf(first.bus))[0]?.phase).toBe("copying");
  await first.stop();
  const second = await startIntake(nats.url, source.port, "i2");
  const copy = await storedCopy(second.bus, 3);
  expect([copy.epoch, (await shardOf(second.bus))?.epoch]).toEqual([epoch, epoch]);
  expect((await copiesOf(second.bus)).map((one) => one.copy)).toEqual([3]);
  expect(await copyIn(second.bus, 2)).toEqual([]);
  expect((await copyIn(second.bus, 3)).at(-1)?.last).toBe(3_000);
  await second.stop();

  // All of it is stored, and only the record does not say so: the next intake proves it, and the source is asked for nothing.
  const third = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
  const record = (await shardOf(third))!;
  await third.records.put(recordKey.shard("p", "s0"), shardRecord, { ...record, copies: [{ ...copy, phase: "copying" }] });
  const fourth = await startIntake(nats.url, source.port, "i3");
  expect((await storedCopy(fourth.bus, 3)).offset).toBe(copy.offset);
  await fourth.stop();
  await third.close();
});

// Mutations: link-session.ts, `#joined` that answers 0: the epoch's own copy serves nobody who came later; group-copy-link.ts, rdb-only asked of
// everybody: a source before 6.2 refuses it and the copy is never made.
test("a source before 6.2 gives an ordinary link, which is dropped behind the RDB; an epoch that begins later serves everybody", async () => {
  await using nats = await NatsServer.start();
  const rdb = readFileSync(rdbPath("5.0.14"));
  await using primary = await RecordedPrimary.start({ version: "5.0.14", rdb, stream: sets(0, 10) });
  const first = await startIntake(nats.url, primary.port, "i1");
  await storedUpTo(first.bus, primary.finalOffset);
  await add(first.bus, { more: 1 });
  await storedCopy(first.bus, 2);
  expect(primary.fullSyncs).toBe(2);
  expect((await shardOf(first.bus))?.joined).toEqual({ epoch: 1, number: 0 });
  await first.stop();
  const again = await startIntake(nats.url, primary.port, "i2", { floor: 1 });
  const record = await waitUntil("a new epoch", async () => {
    const found = await shardOf(again.bus);
    return found !== undefined && found.epoch > 1 && found.phase === "streaming" ? found : null;
  });
  expect(record.joined).toEqual({ epoch: 2, number: 1 });
  await waitUntil("the former copy is removed", async () => (await copiesOf(again.bus)).length === 0);
  expect(primary.fullSyncs).toBe(3);
  await again.stop();
});
