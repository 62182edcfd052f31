import { Bus } from "@sluice/bus";
import { encodeCommand } from "@sluice/redis";
import { silentLog } from "@sluice/runtime";
import { NatsServer, rdbPath, RecordedPrimary, RedisServer, waitUntil } from "@sluice/testkit";
import { BatchKind, ChangeRows, encodeBatch, liveSubject, recordKey, shardRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import type { CopyRules } from "../copy-gate.ts";
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
const rules: CopyRules = { mode: "changes", onBacklogLost: "resync" };

async function haltOf(intake: RunningIntake, instance: string, shard = "s0"): Promise<string> {
  const halt = await waitUntil("it halts", async () => {
    const record = await shardOf(intake.bus, shard);
    return record?.instance === instance ? record.halt : null;
  });
  return `${halt.code} ${halt.message}`;
}

// Mutations: intake.ts, `#attach` never chosen: sync_full is 2. attachment.ts, `db: 0` in place of what the backlog says: the write lands
// in database 0. lane-fences.ts, `storeEmptyCopies` for the first lane only: the next intake has nothing to continue, and halts.
test("changes alone: attached where the source stands, in the database that its stream is in, without a copy", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  const client = source.client();
  await client.set("before", "1");
  const refused = await startIntake(nats.url, source.port, "i0", { cut: 2, rules });
  expect(await haltOf(refused, "i0")).toContain("SRC-018 source s0 can't be attached to without a copy: it keeps no backlog");
  await refused.stop();
  const replica = await RedisServer.start({ replicaOf: source });
  await replica.waitForSync();
  await replica[Symbol.asyncDispose]();
  await client.select(5);
  await client.set("before", "2");
  const offset = async (): Promise<number> => Number(/master_repl_offset:(\d+)/.exec(await client.info("replication"))?.[1]);
  const begin = await offset();

  const first = await startIntake(nats.url, source.port, "i1", { cut: 2, rules });
  expect(await storedUpTo(first.bus, begin)).toMatchObject({ epoch: 1, copied: { keys: 0, bytes: 0 }, halt: null });
  await client.set("after", "3");
  await storedUpTo(first.bus, await offset());
  await first.stop();
  await client.set("after", "4");
  const second = await startIntake(nats.url, source.port, "i2", { cut: 2, rules });
  await storedUpTo(second.bus, await offset());
  const { live, snap } = await storedBatches(second.bus, null, 2);
  expect(snap.map(({ kind, epoch, last }) => [kind, epoch, last])).toEqual([
    [BatchKind.snapshotEnd, 1, 0],
    [BatchKind.snapshotEnd, 1, 0],
  ]);
  const beginnings = live.filter(({ kind, term }) => kind === BatchKind.fence && term === snap[0]?.term);
  expect(beginnings.map(({ epoch, last, db }) => [epoch, last, db])).toEqual([
    [1, begin, 5],
    [1, begin, 5],
  ]);
  const changes = live.filter(({ rows }) => rows instanceof ChangeRows);
  const text = bodyOf(changes).toString();
  expect([text.match(/after/g)?.length, text.includes("before")]).toEqual([2, false]);
  const databases = changes.flatMap(({ rows }) => (rows instanceof ChangeRows ? [...rows.dbs.subarray(0, rows.count)] : []));
  expect(databases).toEqual([5, 5]);
  // One look at the backlog, two links, and the copy of the replica that was there before.
  expect(await client.info("stats")).toMatch(/sync_full:1\r\nsync_partial_ok:3\r\n/);
  await second.stop();
});

// Mutations: copy-gate.ts, `checkLost` without its first line: the lost backlog is copied, the floor attached to anew. attachment.ts,
// `whyNotFirst` always null: a shard whose slots came from another begins behind what was written meanwhile.
test("changes alone: what is lost is never copied, nor passed over; a beginning that broke off is begun again", async () => {
  await using nats = await NatsServer.start();
  const inFirst = Buffer.concat([encodeCommand(["SELECT", "0"]), sets(0, 10)]);
  await using primary = await RecordedPrimary.start({ version: VERSION, rdb: rdbPath(VERSION), stream: inFirst });
  const bus = await Bus.connect({ url: nats.url, name: "former", log: silentLog() });
  const stream = bus.stream("p");
  await stream.ensure();
  const fence = { kind: BatchKind.fence, epoch: 4, term: 1, previous: 7, last: 7, db: 0, replid: "r" } as const;
  const brokenOff = encodeBatch({ ...fence, shard: "s0", rows: null, body: Buffer.alloc(0), part: null, besideCopy: false });
  await stream.append(liveSubject("p", "s0", 0), brokenOff, 0);
  const begin = primary.finalOffset;
  const first = await startIntake(nats.url, primary.port, "i1", { rules });
  await storedUpTo(first.bus, begin);
  primary.append(sets(10, 5));
  await storedUpTo(first.bus, primary.finalOffset);
  await first.stop();
  const { live } = await storedBatches(bus);
  expect(fencesOf(live).at(-1)).toEqual([5, 2, primary.replid]);
  expect(bodyOf(live)).toEqual(sets(10, 5));

  const raised = await startIntake(nats.url, primary.port, "i2", { rules, floor: 5 });
  expect(await haltOf(raised, "i2")).toContain("SRC-019 shard s0 can't be continued, and is not copied: its slots changed");
  await raised.stop();
  const heir = await startIntake(nats.url, primary.port, "i3", { rules, floor: 5, shard: "s1" });
  expect(await haltOf(heir, "i3", "s1")).toContain(
    "SRC-019 shard s1 can't be continued, and is not copied: its slots were read as those of s0",
  );
  await heir.stop();

  primary.append(sets(20, 5));
  primary.forgetBefore(primary.finalOffset);
  const late = await startIntake(nats.url, primary.port, "i4", { rules });
  expect(await haltOf(late, "i4")).toContain(
    "SRC-019 shard s0 can't be continued, and is not copied: the source's backlog holds",
  );
  await late.stop();
  expect([primary.fullSyncs, primary.psyncs.filter((id) => id === "?")]).toEqual([0, []]);
  expect((await bus.records.get(recordKey.shard("p", "s0"), shardRecord))?.value.epoch).toBe(5);
  await bus.close();
});
