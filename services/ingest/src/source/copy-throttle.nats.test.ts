import { randomBytes } from "node:crypto";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import type { ShardRecord } from "@sluice/wire";
import { expect, test, vi } from "vitest";
import { FastClock } from "./fast-clock.sample.ts";
import { shardOf, startIntake } from "./running-intake.sample.ts";

const BYTES_PER_SECOND = 200_000;
/** A quarter second, and what a socket hands over at a time. */
const MORE_BYTES = BYTES_PER_SECOND / 4 + 65_536;

// Mutations: link-session.ts, `#throttle.pass` taken out, or called with 0: the copy takes no time. copy-pace.ts, `#refill` that earns twice:
// it is over too early.
test("a copy is read at its pace and no faster, says so once, and the shard's record goes on telling of it", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  const client = source.client();
  for (let index = 0; index < 20; index++) await client.set(`k${index}`, randomBytes(50_000));
  const log = silentLog();
  const info = vi.spyOn(log, "info");
  const clock = new FastClock(5);
  const copyLimits = { copyBytesPerSecond: BYTES_PER_SECOND };
  const intake = await startIntake(nats.url, source.port, "i1", { clock, copyLimits, log });
  const seen = new Map<number, ShardRecord>();
  await waitUntil("it streams", async () => {
    const record = await shardOf(intake.bus);
    if (record !== undefined && record.epoch > 0) seen.set(record.at, record);
    return record?.phase === "streaming";
  });
  const records = [...seen.values()];
  const [begun, ended] = [records[0] as ShardRecord, records.at(-1) as ShardRecord];
  expect([begun.phase, ended.copied.keys]).toEqual(["copying", 20]);
  // What was told before the first look is not known.
  for (const { at, copied } of records)
    expect(copied.bytes - begun.copied.bytes).toBeLessThanOrEqual((BYTES_PER_SECOND * (at - begun.at)) / 1_000 + MORE_BYTES);
  expect(ended.copied.bytes).toBeGreaterThan(1_000_000);
  expect(new Set(records.map(({ copied }) => copied.bytes)).size).toBeGreaterThan(2);
  expect(info.mock.calls.filter(([, text]) => String(text).includes("is held back to its pace"))).toHaveLength(1);
  await client.set("after", "1");
  await waitUntil("changes are not held back", async () => ((await shardOf(intake.bus))?.commands ?? 0) > 0);
  await intake.stop();
});
