import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer } from "@sluice/testkit";
import { recordKey, shardRecord } from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nextEpoch } from "./epoch.ts";
import { ShardReport, TermLost } from "./shard-report.ts";

let nats: NatsServer;
let bus: Bus;

beforeAll(async () => {
  nats = await NatsServer.start();
  bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
});

afterAll(async () => {
  await bus.close();
  await nats[Symbol.asyncDispose]();
});

test("every epoch is handed out once, and is above the one that is named", async () => {
  const epochs = await Promise.all([0, 0, 0, 0].map(async (above) => nextEpoch(bus.records, "epochs", above)));
  expect(epochs.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
  expect(await nextEpoch(bus.records, "epochs", 40)).toBe(41);
  expect(await nextEpoch(bus.records, "epochs", 3)).toBe(42);
});

test("one-writer-per-lane: every term is taken once, and the former holder is stopped at its next write", async () => {
  const reports = await Promise.all(
    ["a", "b", "c"].map(async (name) => ShardReport.takeTerm(bus.records, "terms", "s0", name, 0, 1)),
  );
  expect(reports.map(({ term }) => term).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  const [newest, ...former] = reports.toSorted((a, b) => b.term - a.term);
  await newest?.update({ storedOffset: 5 }, 2);
  for (const report of former) await expect(report.update({ storedOffset: 99 }, 2)).rejects.toBeInstanceOf(TermLost);
  const record = await bus.records.get(recordKey.shard("terms", "s0"), shardRecord);
  expect(record?.value).toMatchObject({ term: 3, storedOffset: 5, instance: newest?.record.instance });
});

test("a record that was lost does not bring old terms back: the next one is above what the lanes hold", async () => {
  const report = await ShardReport.takeTerm(bus.records, "lost", "s0", "a", 4, 1);
  expect(report.term).toBe(5);
  await bus.records.remove(recordKey.shard("lost", "s0"));
  await expect(report.update({ storedOffset: 1 }, 2)).rejects.toBeInstanceOf(TermLost);
  expect((await ShardReport.takeTerm(bus.records, "lost", "s0", "a", 5, 3)).term).toBe(6);
});

test("writes of one report that overlap all end in the record", async () => {
  const report = await ShardReport.takeTerm(bus.records, "overlap", "s0", "a", 0, 1);
  const halt = { code: "SRC-006", message: "m", remedy: "r", at: 3 };
  await Promise.all([report.update({ storedOffset: 5 }, 2), report.update({ halt }, 3)]);
  const record = await bus.records.get(recordKey.shard("overlap", "s0"), shardRecord);
  expect(record?.value).toMatchObject({ storedOffset: 5, halt });
});

test("a new term keeps where the shard stood, and forgets why the former one halted", async () => {
  const first = await ShardReport.takeTerm(bus.records, "again", "s0", "a", 0, 1);
  await first.update(
    {
      epoch: 4,
      storedOffset: 77,
      replid: "r",
      phase: "streaming",
      commands: 3,
      halt: { code: "c", message: "m", remedy: "r", at: 1 },
    },
    2,
  );
  const second = await ShardReport.takeTerm(bus.records, "again", "s0", "b", 0, 3);
  expect(second.record).toMatchObject({
    term: 2,
    epoch: 4,
    storedOffset: 77,
    replid: "r",
    phase: "connecting",
    commands: 0,
    halt: null,
    instance: "b",
  });
});
