import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer } from "@sluice/testkit";
import { epochRecord, recordKey, shardRecord, topologyRecord, type ShardRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { nextEpoch } from "./epoch.ts";

const shard: ShardRecord = {
  epoch: 7,
  copy: 1,
  term: 1,
  instance: "i",
  phase: "streaming",
  replid: "r",
  storedOffset: 0,
  db: 0,
  copied: { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 },
  commands: 0,
  bytes: 0,
  retry: null,
  halt: null,
  at: 0,
};

// Mutations: epoch.ts, a `put` in place of the compare-and-set: two get the same. And `highestKnown` taken out: 1 is handed out again.
test("case 12: epochs are handed out once each, and above all that is known of the pipeline when the counter is lost", async () => {
  await using nats = await NatsServer.start();
  const bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
  const { records } = bus;
  expect(await nextEpoch(records, "p", 0)).toBe(1);
  const taken = await Promise.all(Array.from({ length: 5 }, async () => nextEpoch(records, "p", 0)));
  expect(taken.toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6]);

  await records.remove(recordKey.epoch("p"));
  const slots = "0-16383";
  const shards = [
    { id: "s0", host: "h", port: 1, slots, floor: 3 },
    { id: "s1", host: "h", port: 2, slots, floor: 0 },
  ];
  await records.put(recordKey.topology("p"), topologyRecord, { mode: "cluster", lanes: 1, shards, events: [] });
  await records.put(recordKey.shard("p", "s1"), shardRecord, shard);
  expect(await nextEpoch(records, "p", 5)).toBe(8);
  expect((await records.get(recordKey.epoch("p"), epochRecord))?.value.epoch).toBe(8);
  expect(await nextEpoch(records, "p", 11)).toBe(12);
  await bus.close();
});
