import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { Bus, type LaneStream } from "@sluice/bus";
import { slotTag } from "@sluice/redis";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import {
  assignmentRecord,
  destinationRecord,
  laneMarkKey,
  laneRecord,
  parseMark,
  recordKey,
  specRecord,
  topologyRecord,
} from "@sluice/wire";

/**
 * How fast a full stream drains: a source that has taken `COMMANDS` SETs while ingest was stopped behind a finished copy, then
 * ingest, nats-server (file storage), writer and destination work at once. Prints what redis-benchmark reaches on the same
 * destination in the same run, so that figures of different machines compare as a ratio.
 *
 *     node -C @sluice/source --import tsx test/bench/drain.ts [commands]
 */
const COMMANDS = Number(process.argv[2] ?? 1_000_000);
const PIPELINE = "drain";
const LANE = "main.s0.0";
const ALL_SLOTS = "0-16383";

await using source = await RedisServer.start({
  config: { "repl-backlog-size": "1gb", "client-output-buffer-limit": "replica 0 0 0" },
});
await using destination = await RedisServer.start();
await using nats = await NatsServer.start();
const bus = await Bus.connect({ url: nats.url, name: "bench", log: silentLog() });
const children: ChildProcess[] = [];

const reference = await benchmarkSets(destination.port);
await destination.client().flushall();
await prepare();
const writer = start("writer");
const first = start("ingest");
await waitUntil("the copy is live", async () => (await lane())?.phase === "live", { timeoutMs: 30_000 });
await stop(first);
await stop(writer);
await benchmarkSets(source.port);
const end = Number(/master_repl_offset:(\d+)/.exec(await source.client().info("replication"))?.[1]);
const stream = bus.stream(PIPELINE);
const markKey = laneMarkKey(slotTag(0), PIPELINE, "main", "s0", 0);
const marks = destination.client();
const standing = await marks.get(markKey);
start("writer");
start("ingest");
const parts = [...children, { pid: nats.pid }, { pid: destination.pid }].map(({ pid }) => pid as number).filter(isAlive);
const cpuBefore = new Map(parts.map((pid) => [pid, cpuOf(pid)]));
await waitUntil("the drain begins", async () => (await marks.get(markKey)) !== standing, { timeoutMs: 30_000, everyMs: 5 });
const startedAt = performance.now();
const begunAt = parseMark((await marks.get(markKey)) ?? "").offset;
await waitUntil("drained", async () => parseMark((await marks.get(markKey)) ?? "").offset >= end, {
  timeoutMs: 120_000,
  everyMs: 5,
});
const seconds = (performance.now() - startedAt) / 1000;
const cpu = parts.map((pid) => cpuOf(pid) - (cpuBefore.get(pid) ?? 0));
await report(stream, seconds, (end - begunAt) / (end - parseMark(standing ?? "").offset), cpu);
for (const child of children) child.kill();
await bus.close();

async function prepare(): Promise<void> {
  const pipeline = { name: PIPELINE, source: { url: source.url }, destinations: [{ url: destination.url }] };
  await bus.records.put(recordKey.spec(PIPELINE), specRecord, { pipeline, desired: "running", createdAt: 0 });
  await bus.records.put(recordKey.topology(PIPELINE), topologyRecord, {
    mode: "standalone",
    lanes: 1,
    shards: [{ id: "s0", host: "127.0.0.1", port: source.port, slots: ALL_SLOTS, floor: 0 }],
    events: [],
  });
  await bus.records.put(recordKey.destination(PIPELINE, "main"), destinationRecord, {
    mode: "standalone",
    nodes: [{ host: "127.0.0.1", port: destination.port, slots: ALL_SLOTS }],
    at: 0,
  });
  await bus.records.put(recordKey.assignment(PIPELINE), assignmentRecord, {
    shards: { s0: "ingest" },
    lanes: { [LANE]: "writer" },
  });
  await bus.stream(PIPELINE).ensure();
}

function start(service: string): ChildProcess {
  const main = new URL(`../../services/${service}/src/main.ts`, import.meta.url).pathname;
  const env = { ...process.env, SLUICE_NATS_URL: nats.url, SLUICE_INSTANCE: service, SLUICE_LOG_LEVEL: "warn" };
  const child = spawn(process.execPath, [...process.execArgv, main], { env, stdio: ["ignore", "inherit", "inherit"] });
  children.push(child);
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill();
  await ended;
}

async function lane() {
  return (await bus.records.get(recordKey.lane(PIPELINE, LANE), laneRecord))?.value;
}

/** SETs a second by redis-benchmark -P 64 with its 50 connections. */
async function benchmarkSets(port: number): Promise<number> {
  const args = [
    "-p",
    String(port),
    "-n",
    String(COMMANDS),
    "-r",
    String(COMMANDS),
    "-P",
    "64",
    "-t",
    "set",
    "-d",
    "16",
    "--csv",
  ];
  const child = spawn("redis-benchmark", args, { stdio: ["ignore", "pipe", "ignore"] });
  let out = "";
  for await (const chunk of child.stdout) out += String(chunk);
  return Number(/"SET","([\d.]+)"/.exec(out)?.[1]);
}

/** User and system seconds of a process (Linux /proc). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function report(log: LaneStream, took: number, share: number, cpuSeconds: readonly number[]): Promise<void> {
  const size = await log.size();
  const rate = (COMMANDS * share) / took;
  const cpuOfAll = cpuSeconds.reduce((sum, one) => sum + one, 0);
  console.table({
    "redis-benchmark -P 64 on the destination, SET/s": Math.round(reference),
    "drain, SET/s": Math.round(rate),
    "drain against redis-benchmark": Number((rate / reference).toFixed(2)),
    "CPU a command, µs (writer, ingest, nats-server, destination)": Number(((cpuOfAll / COMMANDS) * 1e6).toFixed(2)),
    "of it, each": cpuSeconds.map((one) => ((one / COMMANDS) * 1e6).toFixed(2)).join(" "),
    commands: COMMANDS,
    "messages in the stream": size?.messages ?? 0,
    "MB in the stream": Math.round((size?.bytes ?? 0) / 1e6),
    transactions: (await lane())?.transactions ?? 0,
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
