import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
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
  SlotSet,
  specRecord,
  topologyRecord,
} from "@sluice/wire";

/**
 * What a value of any size costs the services in memory: one huge key is copied, or written while changes are followed, through a bus with its
 * default limit of 1 MB a message, and compared. Prints the most that each service ever had resident (VmHWM).
 *
 *     node -C @sluice/source --import tsx test/bench/huge-values.ts string|zeros|list|hash|stream|command|expiring [standalone|cluster] [share of the size]
 */
const [kind = "string", to = "standalone", share = "1"] = process.argv.slice(2);
const SHARE = Number(share);
const PIPELINE = "huge";
const ALL_SLOTS = "0-16383";
const KEY = "huge";
const MB = 1024 * 1024;
const SAMPLES = 1_000;
const config = {
  "repl-backlog-size": "256mb",
  "client-output-buffer-limit": "replica 0 0 0",
  "enable-debug-command": "yes",
  "client-query-buffer-limit": "1gb",
  // Otherwise a list of ten million small elements is not what it is on disk for most.
  rdbcompression: "no",
};

await using source = await RedisServer.start({ config });
await using destination = to === "cluster" ? await RedisCluster.start() : await RedisServer.start({ config });
await using nats = await NatsServer.start();
const bus = await Bus.connect({ url: nats.url, name: "bench", log: silentLog() });
const nodes = destination instanceof RedisCluster ? destination.nodes : [destination];
const isLive = kind === "command" || kind === "expiring";
const children = new Map<string, ChildProcess>();

if (!isLive) await fill();
const labels = await prepare();
const startedAt = performance.now();
start("ingest");
start("writer");
await waitUntil("the copy is live", async () => (await seen()).every((lane) => lane?.phase === "live"), { timeoutMs: 900_000 });
if (isLive) {
  await fill();
  const end = Number(/master_repl_offset:(\d+)/.exec(await source.client().info("replication"))?.[1]);
  await waitUntil("it is applied", async () => (await seen()).every((lane) => (lane?.offset ?? 0) >= end), {
    timeoutMs: 300_000,
  });
}
const seconds = (performance.now() - startedAt) / 1000;
console.table({
  "what, to": `${kind}, ${to}`,
  "seconds from the start of the services": Number(seconds.toFixed(1)),
  "is the same": await isSame(),
  ...Object.fromEntries([...children].map(([name, { pid }]) => [`${name}, most resident, MB`, peakOf(pid as number)])),
  "nats-server, most resident, MB": peakOf(nats.pid),
});
for (const child of children.values()) child.kill();
await bus.close();

/** Makes the key at the source, mostly by the server itself. */
async function fill(): Promise<void> {
  const client = source.client();
  if (kind === "string") await client.eval(script("random"), 1, KEY, String(Math.floor(512 * SHARE)));
  else if (kind === "zeros") await client.setrange(KEY, Math.floor(512 * MB * SHARE) - 1, "x");
  else if (kind === "command") await client.set(KEY, Buffer.alloc(100 * MB * SHARE, "0123456789abcdef"));
  else if (kind === "expiring") await client.set(KEY, Buffer.alloc(100 * MB * SHARE, "0123456789abcdef"), "PX", 3_600_000);
  else {
    const total = Math.floor((kind === "list" ? 10_000_000 : kind === "hash" ? 5_000_000 : 2_000_000) * SHARE);
    for (let from = 0; from < total; from += 500_000)
      await client.eval(script(kind), 1, KEY, String(from), String(Math.min(total, from + 500_000)));
  }
}

function script(of: string): string {
  const each: Record<string, string> = {
    list: "redis.call('RPUSH', KEYS[1], 'element ' .. at)",
    hash: "redis.call('HSET', KEYS[1], 'field ' .. at, 'value ' .. at)",
    stream: "redis.call('XADD', KEYS[1], (at + 1) .. '-1', 'field', 'value ' .. at)",
  };
  const body = each[of];
  if (body !== undefined) return `for at = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do ${body} end`;
  // A mebibyte whose blocks of 40 bytes differ, so that neither LZF nor a block that is lost, doubled or misplaced goes unnoticed.
  return `for mb = 1, tonumber(ARGV[1]) do
    local parts = {}
    for at = 1, 26214 do parts[at] = redis.sha1hex(mb .. ':' .. at) end
    local text = table.concat(parts)
    redis.call('APPEND', KEYS[1], text .. string.rep('.', 1048576 - #text))
  end`;
}

async function isSame(): Promise<boolean> {
  const holder = destination instanceof RedisCluster ? await ownerOf(destination) : destination;
  const [there, here] = [holder.client(), source.client()];
  if (kind !== "command" && kind !== "expiring" && !(destination instanceof RedisCluster)) {
    const [one, other] = [await here.call("DEBUG", "DIGEST-VALUE", KEY), await there.call("DEBUG", "DIGEST-VALUE", KEY)];
    return JSON.stringify(one) === JSON.stringify(other);
  }
  const length = await here.strlen(KEY);
  if (kind === "list" || kind === "hash" || kind === "stream") return (await here.memory("USAGE", KEY)) !== null;
  if (length !== (await there.strlen(KEY))) return false;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const at = Math.floor((sample * length) / SAMPLES);
    if ((await here.getrange(KEY, at, at + 100)) !== (await there.getrange(KEY, at, at + 100))) return false;
  }
  return true;
}

async function ownerOf(cluster: RedisCluster): Promise<RedisServer> {
  for (const node of cluster.nodes)
    if (
      await node
        .client()
        .exists(KEY)
        .catch(() => 0)
    )
      return node;
  throw new Error("no node holds the key");
}

/** Writes the records that the coordinator and the router would. */
async function prepare(): Promise<string[]> {
  const pipeline = { name: PIPELINE, source: { url: source.url }, destinations: [{ url: nodes[0]?.url ?? "" }] };
  await bus.records.put(recordKey.spec(PIPELINE), specRecord, { pipeline, desired: "running", createdAt: 0 });
  const lanes = destination instanceof RedisCluster ? 4 : 1;
  const shards = [{ id: "s0", host: "127.0.0.1", port: source.port, slots: ALL_SLOTS, floor: 0 }];
  await bus.records.put(recordKey.topology(PIPELINE), topologyRecord, { mode: "standalone", lanes, shards, events: [] });
  await bus.records.put(recordKey.destination(PIPELINE, "main"), destinationRecord, {
    mode: destination instanceof RedisCluster ? "cluster" : "standalone",
    nodes: await Promise.all(
      nodes.map(async (node) => ({
        host: "127.0.0.1",
        port: node.port,
        slots: destination instanceof RedisCluster ? SlotSet.of(await destination.slotsOf(node)).toString() : ALL_SLOTS,
      })),
    ),
    at: 0,
  });
  await bus.stream(PIPELINE).ensure();
  const own = lanesOf(SlotSet.parse(ALL_SLOTS), lanes).map((lane) => groupLaneLabel("main", "s0", lane));
  await bus.records.put(recordKey.assignment(PIPELINE), assignmentRecord, {
    shards: { s0: "ingest-0" },
    lanes: Object.fromEntries(own.map((label) => [label, "writer-0"])),
  });
  return own;
}

function start(service: string): void {
  const main = new URL(`../../services/${service}/dist/bundle.js`, import.meta.url).pathname;
  const env = { ...process.env, SLUICE_NATS_URL: nats.url, SLUICE_INSTANCE: `${service}-0`, SLUICE_LOG_LEVEL: "warn" };
  children.set(service, spawn(process.execPath, [main], { env, stdio: ["ignore", "inherit", "inherit"] }));
}

async function seen() {
  return Promise.all(labels.map(async (label) => (await bus.records.get(recordKey.lane(PIPELINE, label), laneRecord))?.value));
}

/** Most that a process ever had resident (Linux /proc), MB. */
function peakOf(pid: number): number {
  return Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);
}
