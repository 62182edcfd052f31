import { Bus, Leases } from "@sluice/bus";
import { slotTag } from "@sluice/redis";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import { laneMarkKey, laneRecord, recordKey, specRecord, type LaneRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { LaneReport } from "./lane-report.ts";
import { LaneWriter } from "./lane-writer.ts";
import { ScriptedLane } from "./scripted-lane.sample.ts";

const slots = "0-16383";
const pipeline = "p";
const MARK = laneMarkKey(slotTag(0), pipeline, "main", "s0", 0);

async function open() {
  const [nats, redis] = await Promise.all([NatsServer.start(), RedisServer.start()]);
  const bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
  await bus.stream(pipeline).ensure();
  const warnings: unknown[] = [];
  const errors: string[] = [];
  const log = Object.assign(silentLog(), {
    warn: (fields: unknown) => warnings.push(fields),
    error: (_: unknown, message: string) => errors.push(message),
  });
  const endpoint = { host: "127.0.0.1", port: redis.port };
  let count = 0;
  /** Runs a writer as an instance of the service does, in another instance each time. */
  const write = () => {
    const instance = `w${count++}`;
    const leases = new Leases(bus.records, instance, systemClock, silentLog());
    const topology = { mode: "standalone" as const, lanes: 1, shards: [{ id: "s0", host: "h", port: 1, slots, floor: 0 }] };
    const writer = new LaneWriter({
      pipeline,
      group: "main",
      shard: "s0",
      lane: 0,
      endpoint,
      existing: "refuse",
      shift: (ms) => ms,
      destination: { mode: "standalone", nodes: [{ ...endpoint, slots }], at: 0 },
      topology: { ...topology, events: [] },
      instance,
      bus,
      leases,
      clock: systemClock,
      log,
    });
    const stop = new AbortController();
    const ended = supervise(writer, stop.signal, systemClock, log).then(() => leases.close());
    return { ended, stop };
  };
  const wish = async (desired: "running" | "stopped") => {
    const spec = { name: pipeline, source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
    return bus.records.put(recordKey.spec(pipeline), specRecord, { pipeline: spec, desired, createdAt: 1 });
  };
  const record = async (): Promise<LaneRecord | undefined> =>
    (await bus.records.get(recordKey.lane(pipeline, "main.s0.0"), laneRecord))?.value;
  const close = async (): Promise<void> => {
    await bus.close();
    await Promise.all([nats[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
  };
  const lane = new ScriptedLane(bus, pipeline);
  return { nats, bus, client: redis.client(), lane, warnings, errors, write, wish, record, [Symbol.asyncDispose]: close };
}

/** The unit at 110 finds a list where the source had a number, the one behind it is sound. */
async function divergence({ lane, client, write, wish }: Awaited<ReturnType<typeof open>>): Promise<void> {
  await wish("running");
  await lane.live();
  const { ended, stop } = write();
  await waitUntil("the lane is live", async () => (await client.get(MARK))?.includes("|live|") === true);
  stop.abort();
  await ended;
  await client.rpush("list", "1");
  await lane.changes(100, { end: 110, commands: ["INCR list"] });
}

test("loud: a lane whose unit failed behind its mark stays halted through restarts until its pipeline is started", async () => {
  await using opened = await open();
  const { client, lane, warnings, write, wish, record } = opened;
  await divergence(opened);
  await write().ended;
  expect((await record())?.halt).toMatchObject({ code: "DST-004", message: expect.stringContaining("WRONGTYPE") as string });
  const halt = (await record())?.halt;
  await lane.changes(110, { end: 120, commands: ["SET after 1"] });
  // Ended by itself, with the halt: nobody stops it here.
  await write().ended;
  await wish("stopped");
  await write().ended;
  expect([(await record())?.halt, await client.exists("after"), warnings]).toEqual([halt, 0, []]);
  await wish("running");
  const { ended, stop } = write();
  await waitUntil("it goes on", async () => (await client.exists("after")) === 1);
  await waitUntil("its record says so", async () => (await record())?.halt === null);
  expect(warnings).toContainEqual({ code: "DST-004", halt: halt?.message });
  stop.abort();
  await ended;
});

test("loud: a halt that the bus was away for is written when it is back", async () => {
  await using opened = await open();
  const { nats, client, lane, errors, write, record } = opened;
  await divergence(opened);
  const { ended } = write();
  await waitUntil("it halted once", async () => (await record())?.halt?.code === "DST-004");
  await ended;
  await client.del("list");
  await opened.wish("running");
  const second = write();
  await waitUntil("it goes on", async () => (await record())?.halt === null);
  await client.rpush("list", "1");
  // An idle lane writes once more, to say that nothing is unjudged.
  await waitUntil("the lane is idle", async () => /\|110\|\d+$/.test((await client.get(MARK)) ?? ""));
  await client.call("CLIENT", "PAUSE", "60000", "WRITE");
  await lane.changes(110, { end: 120, commands: ["INCR list"] }, { end: 130, commands: ["SET before 1"] });
  await waitUntil("the unit is on its way", async () => /flags=[^ ]*b|multi=[3-9]/.test(String(await client.client("LIST"))));
  await nats.kill();
  await client.call("CLIENT", "UNPAUSE");
  await waitUntil("the mark moved", async () => (await client.get(MARK))?.includes("|130|") === true);
  const isTold = (): boolean => errors.some((message) => message.startsWith("halted, and the record can't say so yet"));
  await waitUntil("the write failed", isTold);
  await nats.restart();
  await second.ended;
  expect((await record())?.halt?.code).toBe("DST-004");
});

test("a lane's report is not written before the lane begins, nor over a halt that another writer had yet to write", async () => {
  await using opened = await open();
  const { bus, record } = opened;
  const key = "main.s0.0";
  const never = new AbortController().signal;
  const [late, next] = ["w0", "w1"].map((name) => new LaneReport(bus.records, pipeline, key, name, systemClock));
  next!.tell({ retry: { endpoint: "destination main", since: 1, reason: "away" } });
  await next!.write();
  expect(await record()).toBeUndefined();
  late!.begin(0);
  next!.begin(0);
  await next!.write();
  expect((await record())?.instance).toBe("w1");
  await late!.halted({ code: "DST-007", message: "m", remedy: "r", at: 1 }, never, () => undefined);
  await next!.write();
  expect(await record()).toMatchObject({ instance: "w0", halt: { code: "DST-007" } });
  await next!.halted({ code: "DST-002", message: "own", remedy: "r", at: 1 }, never, () => undefined);
  expect(await record()).toMatchObject({ instance: "w0", halt: { code: "DST-007" } });
});
