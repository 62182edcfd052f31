import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisCluster, RedisServer, waitUntil } from "@sluice/testkit";
import {
  assignmentRecord,
  destinationRecord,
  groupLaneLabel,
  laneRecord,
  lanesOf,
  recordKey,
  shardRecord,
  SlotSet,
  specRecord,
  topologyRecord,
} from "@sluice/wire";

/**
 * How fast a full backlog drains through JetStream (file storage): a source that has taken `commands` SETs while ingest was
 * stopped behind a finished copy, then ingest, nats-server, writers and destination work at once, each writer and ingest one
 * process. Prints what redis-benchmark reaches on the same destination in the same run, so that figures of different machines
 * compare as a ratio. The clock starts at the first write in the destination and stops when every lane has reported the source's
 * last offset, which lanes do once a second: the figure is low by up to a second's share.
 *
 *     node -C @sluice/source --import tsx test/bench/drain.ts standalone|cluster standalone|cluster [commands] [writers]
 *
 * Without `-C @sluice/source` it is what `npm run build` wrote that is measured.
 */
const [from = "standalone", to = "standalone"] = process.argv.slice(2, 4);
const COMMANDS = Number(process.argv[4] ?? 1_000_000);
const WRITERS = Number(process.argv[5] ?? 1);
const PIPELINE = "drain";
const ALL_SLOTS = "0-16383";
const config = { "repl-backlog-size": "1gb", "client-output-buffer-limit": "replica 0 0 0" };
const LAYOUT = ["0-999,8000-11000,15000-16383", "1000-4000,11001-14999", "4001-7999"];

type Side = RedisServer | RedisCluster;

await using source = from === "cluster" ? await RedisCluster.start({ config }) : await RedisServer.start({ config });
await using destination = to === "cluster" ? await RedisCluster.start({ layout: LAYOUT }) : await RedisServer.start();
await using nats = await NatsServer.start();
const bus = await Bus.connect({ url: nats.url, name: "bench", log: silentLog() });
const children: ChildProcess[] = [];

const reference = await benchmarkSets(destination);
await Promise.all(nodesOf(destination).map(async (node) => node.client().flushall()));
const shards = await prepare();
const labels = [...shards].flatMap(([shard, lanes]) => lanes.map((lane) => groupLaneLabel("main", shard, lane)));
await assign();
startAll();
await waitUntil("the copy is live", async () => (await seenLanes()).every((lane) => lane?.phase === "live"), {
  timeoutMs: 60_000,
});
await stopAll();
await benchmarkSets(source);
const ends = await Promise.all([...shards.keys()].map(async (_, index) => offsetOf(nodesOf(source)[index] as RedisServer)));
const before = await callsOf(destination);
startAll();
await waitUntil("the drain begins", async () => (await callsOf(destination)) > before + 1_000, {
  timeoutMs: 60_000,
  everyMs: 10,
});
const startedAt = performance.now();
const pids = [...children.map(({ pid }) => pid as number), nats.pid, ...nodesOf(destination).map(({ pid }) => pid)].filter(
  isAlive,
);
await waitUntil("drained", isDrained, { timeoutMs: 300_000, everyMs: 20 });
const seconds = (performance.now() - startedAt) / 1000;
await report();
for (const child of children) child.kill();
await bus.close();

function nodesOf(side: Side): readonly RedisServer[] {
  return side instanceof RedisCluster ? side.nodes : [side];
}

async function describe(side: Side): Promise<{ host: string; port: number; slots: string }[]> {
  return Promise.all(
    nodesOf(side).map(async (node) => ({
      host: "127.0.0.1",
      port: node.port,
      slots: side instanceof RedisCluster ? SlotSet.of(await side.slotsOf(node)).toString() : ALL_SLOTS,
    })),
  );
}

/** Writes the records that the coordinator and the router would. Returns the lanes of each shard. */
async function prepare(): Promise<Map<string, readonly number[]>> {
  const pipeline = { name: PIPELINE, source: { url: source.url }, destinations: [{ url: destination.url }] };
  await bus.records.put(recordKey.spec(PIPELINE), specRecord, { pipeline, desired: "running", createdAt: 0 });
  const own = (await describe(source)).map((node, index) => ({ ...node, id: `s${index}`, floor: 0 }));
  const mode = source instanceof RedisCluster ? "cluster" : "standalone";
  const lanes = source instanceof RedisCluster || destination instanceof RedisCluster ? 16 : 1;
  await bus.records.put(recordKey.topology(PIPELINE), topologyRecord, { mode, lanes, shards: own, events: [] });
  await bus.records.put(recordKey.destination(PIPELINE, "main"), destinationRecord, {
    mode: destination instanceof RedisCluster ? "cluster" : "standalone",
    nodes: await describe(destination),
    at: 0,
  });
  await bus.stream(PIPELINE).ensure();
  return new Map(own.map(({ id, slots }) => [id, lanesOf(SlotSet.parse(slots), lanes)]));
}

async function assign(): Promise<void> {
  await bus.records.put(recordKey.assignment(PIPELINE), assignmentRecord, {
    shards: Object.fromEntries([...shards.keys()].map((shard) => [shard, "ingest-0"])),
    lanes: Object.fromEntries(labels.map((label, index) => [label, `writer-${index % WRITERS}`])),
  });
}

function startAll(): void {
  start("ingest", 0);
  for (let index = 0; index < WRITERS; index++) start("writer", index);
}

function start(service: string, index: number): void {
  const main = fileURLToPath(import.meta.resolve(`@sluice/${service}/main`));
  const env = { ...process.env, SLUICE_NATS_URL: nats.url, SLUICE_INSTANCE: `${service}-${index}`, SLUICE_LOG_LEVEL: "warn" };
  children.push(spawn(process.execPath, [...process.execArgv, main], { env, stdio: ["ignore", "inherit", "inherit"] }));
}

async function stopAll(): Promise<void> {
  for (const child of children.splice(0)) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill();
    await ended;
  }
}

async function seenLanes() {
  return Promise.all(labels.map(async (label) => (await bus.records.get(recordKey.lane(PIPELINE, label), laneRecord))?.value));
}

async function isDrained(): Promise<boolean> {
  const lanes = await seenLanes();
  return labels.every(
    (label, index) => (lanes[index]?.offset ?? 0) >= (ends[Number(/\.s(\d+)\./.exec(label)?.[1])] ?? Infinity),
  );
}

async function offsetOf(node: RedisServer): Promise<number> {
  return Number(/master_repl_offset:(\d+)/.exec(await node.client().info("replication"))?.[1]);
}

/** SETs that a side has run, marks included. */
async function callsOf(side: Side): Promise<number> {
  const stats = await Promise.all(nodesOf(side).map(async (node) => node.client().info("commandstats")));
  return stats.reduce((sum, text) => sum + Number(/cmdstat_set:calls=(\d+)/.exec(text)?.[1] ?? 0), 0);
}

/** SETs a second by redis-benchmark -P 64 with its 50 connections. */
async function benchmarkSets(side: Side): Promise<number> {
  const [node] = nodesOf(side);
  const cluster = side instanceof RedisCluster ? ["--cluster"] : [];
  const size = ["-n", String(COMMANDS), "-r", String(COMMANDS), "-P", "64", "-t", "set", "-d", "16", "--csv"];
  const child = spawn("redis-benchmark", ["-p", String(node?.port), ...cluster, ...size], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let out = "";
  for await (const chunk of child.stdout) out += String(chunk);
  return Number(/"SET","([\d.]+)"/.exec(out)?.[1]);
}

/** User and system seconds of a process since it began (Linux /proc). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function report(): Promise<void> {
  const size = await bus.stream(PIPELINE).size();
  const rate = COMMANDS / seconds;
  const lanes = await seenLanes();
  const ingested = await Promise.all(
    [...shards.keys()].map(async (shard) => bus.records.get(recordKey.shard(PIPELINE, shard), shardRecord)),
  );
  const own = pids.slice(0, children.length).map((pid) => (cpuOf(pid) / COMMANDS) * 1e6);
  console.table({
    "from, to": `${from} → ${to}, ${labels.length} lanes, ${WRITERS} writers`,
    "redis-benchmark -P 64 on the destination, SET/s": Math.round(reference),
    "drain, SET/s": Math.round(rate),
    "drain against redis-benchmark": Number((rate / reference).toFixed(2)),
    "CPU a command, µs: ingest, writers (starting included)": own.map((one) => one.toFixed(2)).join(" "),
    "commands, as ingest counted them": ingested.reduce((sum, shard) => sum + (shard?.value.commands ?? 0), 0),
    seconds: Number(seconds.toFixed(1)),
    "messages in the stream": size?.messages ?? 0,
    "MB in the stream": Math.round((size?.bytes ?? 0) / 1e6),
    steps: lanes.reduce((sum, lane) => sum + (lane?.transactions ?? 0), 0),
  });
}
