import { silentLog, systemClock, type Clock } from "@sluice/runtime";
import { Bus } from "@sluice/bus";
import { NatsServer, rdbPath, RecordedPrimary, RedisServer, waitUntil } from "@sluice/testkit";
import { liveSubject } from "@sluice/wire";
import { expect, test, vi } from "vitest";
import { BACKLOG_HIGH_BYTES, BacklogBound } from "../lanes/backlog-bound.ts";
import { CopyPermit } from "./copy-permit.ts";
import { Gate, sets, shardOf, startIntake, storedUpTo, type RunningIntake } from "./running-intake.sample.ts";

/** No sleep lasts longer than a second: patience is tried sooner. */
const hastyClock: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => systemClock.sleep(Math.min(ms, 1_000), signal),
};

/** Lets the pipeline's stream hold what it holds now and `moreBytes`; null: whatever comes. */
async function limit(intake: RunningIntake, moreBytes: number | null): Promise<void> {
  const stream = intake.bus.stream("p");
  const size = await stream.size();
  await stream.limit(moreBytes === null ? null : (size?.bytes ?? 0) + moreBytes);
}

async function retryOf(intake: RunningIntake, reason: string): Promise<string> {
  return waitUntil(`it waits: ${reason}`, async () => {
    const retry = (await shardOf(intake.bus))?.retry ?? null;
    return retry?.endpoint === "bus" && retry.reason.includes(reason) ? retry.reason : null;
  });
}

// Mutation: link-session.ts, `#room` without its limit of time: the source keeps 40 MB for a link that nobody reads.
test("case 63: a full stream: what waits has a bound, the source is let go, and continued when there is room", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start({
    config: { "repl-backlog-size": "256mb", "repl-ping-replica-period": "3600" },
  });
  const client = source.client();
  let highestBytes = 0;
  const add = vi.spyOn(BacklogBound.prototype, "add");
  add.mockImplementation(function count(this: BacklogBound, bytes: number) {
    this.remove(-bytes);
    highestBytes = Math.max(highestBytes, this.bytes);
  });
  const intake = await startIntake(nats.url, source.port, "i1", { clock: hastyClock });
  await waitUntil("it streams", async () => (await shardOf(intake.bus))?.phase === "streaming");
  await limit(intake, 1_000_000);
  for (let index = 0; index < 100; index++) await client.set("big", String(index).padEnd(1_000_000, "x"));
  expect(await retryOf(intake, "takes no more")).toContain("SLUICE_p");
  await waitUntil("the link is given up", async () => (await client.info("replication")).includes("connected_slaves:0"));
  expect(await client.info("memory")).toContain("mem_clients_slaves:0\r\n");
  expect(highestBytes).toBeGreaterThan(BACKLOG_HIGH_BYTES);
  expect(highestBytes).toBeLessThan(BACKLOG_HIGH_BYTES + 4_000_000);
  await limit(intake, null);
  const offset = Number(/master_repl_offset:(\d+)/.exec(await client.info("replication"))?.[1]);
  const record = await storedUpTo(intake.bus, offset);
  expect([record.epoch, record.retry]).toEqual([1, null]);
  expect(await client.info("stats")).toContain("sync_full:1\r\n");
  add.mockRestore();
  await intake.stop();
});

// Mutations: lane-fences.ts, `shutOut` without the fences of lanes that can't be continued: the source sends a copy to nowhere.
// intake.ts, `shutOut` behind `#takePermit`: nobody else copies from the host meanwhile.
test("a full stream: no full copy is asked for before there is room, and no permit is held while it is waited for", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "7.0.15", rdb: rdbPath("7.0.15"), stream: sets(0, 10) });
  await using gate = await Gate.open(primary.port, 60_000);
  const first = await startIntake(nats.url, gate.port, "i1");
  await waitUntil("the copy has begun", async () => first.bus.stream("p").tail(liveSubject("p", "s0", 0)));
  await waitUntil("no more of it comes", () => gate.isShut);
  await limit(first, 0);
  await first.stop();
  gate.unbound();
  const second = await startIntake(nats.url, gate.port, "i2");
  await retryOf(second, "takes no more");
  expect(primary.fullSyncs).toBe(1);
  const { records } = second.bus;
  const permit = await CopyPermit.take(
    { records, host: "127.0.0.1", limit: 1, holder: "another pipeline", clock: systemClock, log: silentLog() },
    AbortSignal.timeout(2_000),
  );
  expect(permit).not.toBeNull();
  await permit?.release();
  await limit(second, null);
  await storedUpTo(second.bus, primary.finalOffset);
  expect(primary.fullSyncs).toBe(2);
  await second.stop();
});

// Mutation: link-session.ts, `#startCopy` with fences that have no limit of time: the copy waits in the source's memory.
test("a stream that is full when the copy begins: the link is given up, and the source is asked again when there is room", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  const bus = await Bus.connect({ url: nats.url, name: "limit", log: silentLog() });
  await bus.stream("p").ensure();
  await bus.stream("p").limit(1);
  const intake = await startIntake(nats.url, source.port, "i1", { clock: hastyClock });
  expect(await retryOf(intake, "stored nothing")).toContain("the link to the source is given up");
  await bus.stream("p").limit(null);
  await waitUntil("it streams", async () => (await shardOf(intake.bus))?.phase === "streaming");
  await intake.stop();
  await bus.close();
});

// Mutation: intake.ts, `#takePermit` without `#tellTurn`: nothing says what the shard waits for.
test("a shard that waits for its turn to copy says so after a while, and no more when it has it", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  const bus = await Bus.connect({ url: nats.url, name: "other", log: silentLog() });
  const options = { records: bus.records, host: "127.0.0.1", limit: 1, clock: systemClock, log: silentLog() };
  const permit = await CopyPermit.take({ ...options, holder: "other" }, new AbortController().signal);
  const intake = await startIntake(nats.url, source.port, "i1", { clock: hastyClock });
  const waiting = await waitUntil("it says why it waits", async () => {
    const record = await shardOf(intake.bus);
    return record !== undefined && record.retry !== null ? record : null;
  });
  expect([waiting.phase, waiting.retry?.endpoint, waiting.retry?.reason]).toEqual([
    "copying",
    "source s0",
    "waits for its turn to copy from 127.0.0.1",
  ]);
  await permit?.release();
  const record = await waitUntil("it streams", async () => {
    const now = await shardOf(intake.bus);
    return now?.phase === "streaming" ? now : null;
  });
  expect(record.retry).toBeNull();
  await intake.stop();
  await bus.close();
});
