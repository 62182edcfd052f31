import { Bus, Leases } from "@sluice/bus";
import { slotTag } from "@sluice/redis";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import {
  laneMarkKey,
  laneRecord,
  liveSubject,
  parseMark,
  recordKey,
  shardRecord,
  specRecord,
  type LaneRecord,
  type Pipeline,
} from "@sluice/wire";
import { expect, test } from "vitest";
import { ReplyTamperer } from "../apply/reply-tamperer.sample.ts";
import { LaneWriter } from "../lane-writer.ts";
import { ScriptedLane } from "../scripted-lane.sample.ts";
import { SourceLane } from "./source-lane.sample.ts";

const pipeline = "p";
const slots = "0-16383";
const MARK = laneMarkKey(slotTag(0), pipeline, "main", "s0", 0);

type Policy = Pipeline["onDivergence"];

/** A lane that is live, whose writers reach the destination through a man in the middle, and a source with one key. */
async function open(policy: Policy) {
  const [nats, redis, source] = await Promise.all([NatsServer.start(), RedisServer.start(), SourceLane.start(RedisServer)]);
  const tamperer = await ReplyTamperer.start(redis.port);
  const bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
  await bus.stream(pipeline).ensure();
  const warnings: string[] = [];
  const log = Object.assign(silentLog(), { warn: (_: unknown, message: string) => warnings.push(message) });
  const endpoint = { host: "127.0.0.1", port: tamperer.port };
  let count = 0;
  const write = () => {
    const instance = `w${count++}`;
    const leases = new Leases(bus.records, instance, systemClock, silentLog());
    const shards = [{ id: "s0", host: "h", port: 1, slots, floor: 0 }];
    const writer = new LaneWriter({
      pipeline,
      group: "main",
      shard: "s0",
      lane: 0,
      endpoint,
      existing: "refuse",
      shift: (ms) => ms,
      destination: { mode: "standalone", nodes: [{ ...endpoint, slots }], at: 0 },
      topology: { mode: "standalone", lanes: 1, shards, events: [] },
      divergence: { policy, source: { host: "127.0.0.1", port: source.server.port } },
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
  const wish = async () => {
    const spec = { name: pipeline, source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
    await bus.records.put(recordKey.spec(pipeline), specRecord, { pipeline: spec, desired: "running", createdAt: 1 });
  };
  const record = async (): Promise<LaneRecord | undefined> =>
    (await bus.records.get(recordKey.lane(pipeline, "main.s0.0"), laneRecord))?.value;
  const client = redis.client();
  const reaches = async (offset: number): Promise<unknown> =>
    waitUntil(`the mark is ${offset}`, async () => parseMark((await client.get(MARK)) ?? "").offset === offset);
  const close = async (): Promise<void> => {
    await bus.close();
    await tamperer[Symbol.asyncDispose]();
    await Promise.all([nats, redis, source].map(async (server) => server[Symbol.asyncDispose]()));
  };
  const lane = new ScriptedLane(bus, pipeline);
  await wish();
  await lane.live();
  const harness = { bus, client, source: source.server.client(), lane, tamperer, warnings, write, wish, record, reaches };
  return { ...harness, [Symbol.asyncDispose]: close };
}

type Opened = Awaited<ReturnType<typeof open>>;

/** Several units, one of which fails, and a writer that is gone before it reads how they went. */
async function loseVerdict({ client, lane, tamperer, write, reaches }: Opened): Promise<void> {
  const first = write();
  await waitUntil("the lane is live", async () => (await client.get(MARK))?.includes("|live|") === true);
  await client.rpush("list", "planted");
  tamperer.tamper = ({ args }) => (args[0] === "EXEC" ? { drop: true } : null);
  await lane.changes(
    100,
    { end: 110, commands: ["INCR n"] },
    { end: 120, commands: ["INCR list"] },
    { end: 130, commands: ["INCR n"] },
  );
  await reaches(130);
  first.stop.abort();
  await first.ended;
  tamperer.tamper = () => null;
}

// Mutations: judge-span.ts: an empty span instead of its units (nothing is found); lane-writer.ts: `judgeSpan` not called.
test("case 17: loud: a unit whose reply was lost halts the lane, until its pipeline is started again", async () => {
  await using opened = await open("halt");
  const { client, lane, write, wish, record, reaches } = opened;
  await loseVerdict(opened);
  await write().ended;
  expect((await record())?.halt).toMatchObject({ code: "DST-004" });
  await lane.changes(130, { end: 140, commands: ["INCR n"] });
  await wish();
  const { ended, stop } = write();
  await reaches(140);
  expect(await client.get("n")).toBe("3");
  stop.abort();
  await ended;
});

test("case 17: with skip it is counted, and the sum survives the writer", async () => {
  await using opened = await open("skip");
  const { client, lane, write, record, reaches } = opened;
  await loseVerdict(opened);
  const second = write();
  await waitUntil("the error is counted", async () => (await record())?.skippedErrors === 1);
  second.stop.abort();
  await second.ended;
  const third = write();
  await lane.changes(130, { end: 140, commands: ["INCR list"] });
  await reaches(140);
  await waitUntil("both are", async () => (await record())?.skippedErrors === 2);
  third.stop.abort();
  await third.ended;
  expect(await client.get("n")).toBe("2");
});

test("case 17: with repair the key comes from the source, whose offset it has", async () => {
  await using opened = await open("repair");
  const { bus, client, source, lane, write, record, reaches } = opened;
  await loseVerdict(opened);
  await source.set("list", "42");
  const info = await source.info("replication");
  const replid = /master_replid:(\w+)/.exec(info)?.[1] ?? "";
  const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
  const signs = { retry: null, halt: null, at: 1, copied, commands: 0, bytes: 0, term: 1, instance: "i", db: 0, copy: 1 };
  const tell = async (storedOffset: number): Promise<unknown> =>
    bus.records.put(recordKey.shard(pipeline, "s0"), shardRecord, {
      ...signs,
      epoch: 1,
      phase: "streaming",
      replid,
      storedOffset,
    });
  await tell(130);
  const { ended, stop } = write();
  // The source of this test is behind what the lane says: it is waited for, and said so.
  await waitUntil("it waits for the source", async () => (await record())?.retry?.reason.includes("stands at offset") === true);
  while (Number(/master_repl_offset:(\d+)/.exec(await source.info("replication"))?.[1]) < 200) await source.incr("else");
  await waitUntil("it is repaired", async () => (await record())?.repairedKeys === 1);
  expect(await client.get("list")).toBe("42");
  // The history that the key was read in.
  lane.replid = replid;
  await lane.changes(130, { end: 140, commands: ["INCR list"] }, { end: 10_000, commands: ["INCR list"] });
  await reaches(10_000);
  // The first of them is in what was read from the source, the other is not.
  expect(await client.get("list")).toBe("43");
  stop.abort();
  await ended;
});

test("case 17: units that the stream does not hold any more can't be judged, and that is said", async () => {
  await using opened = await open("halt");
  const { bus, lane, client, write, warnings, reaches } = opened;
  await loseVerdict(opened);
  await lane.changes(130, { end: 140, commands: ["INCR n"] });
  const subject = liveSubject(pipeline, "s0", 0);
  const tail = await bus.stream(pipeline).tail(subject);
  await bus.stream(pipeline).trim(subject, tail?.sequence ?? 0);
  const { ended, stop } = write();
  await reaches(140);
  expect(await client.get("n")).toBe("3");
  expect(warnings.some((message) => message.startsWith("could not be judged"))).toBe(true);
  stop.abort();
  await ended;
});
