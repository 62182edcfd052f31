import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Connection, encodeCommand, infoFields, ReplyError } from "@sluice/redis";
import { Random, RedisServer, waitUntil } from "@sluice/testkit";
import { expect, test } from "vitest";
import { observe, ObservedStream } from "./observed-stream.sample.ts";
import { isClose, ModelClient, shown } from "./reply-comparison.sample.ts";
import { textOf } from "./sim-reply.ts";
import { SimServer } from "./sim-server.ts";

/** A key lives so long that is to be watched before it ends. */
const WATCHED_MS = 500;
const UNKNOWN = "f".repeat(40);
const FIELDS = [
  "role",
  "master_repl_offset",
  "second_repl_offset",
  "repl_backlog_active",
  "repl_backlog_first_byte_offset",
  "repl_backlog_histlen",
];

let servers = 0;

function model(name: string): SimServer {
  const random = new Random(++servers);
  return new SimServer({ name, host: "127.0.0.1", port: 6379, nowMs: () => Date.now(), random: () => random.fraction() });
}

async function ask(server: RedisServer, ...args: (string | number)[]): Promise<unknown> {
  const connection = await Connection.open({ host: "127.0.0.1", port: server.port });
  try {
    return await connection.call(args).catch((cause: unknown) => {
      if (cause instanceof ReplyError) return cause;
      throw cause;
    });
  } finally {
    connection.close();
  }
}

/** The first word of the answer to PSYNC, from the real server and from the model. */
async function psync(
  real: RedisServer,
  sim: SimServer,
  realId: string,
  modelId: string,
  offset: number,
): Promise<readonly [string, string]> {
  let answer = "";
  const session = sim.connect({ send: (bytes) => (answer += bytes.toString("latin1")), hangUp: () => undefined });
  session.receive(encodeCommand(["PSYNC", modelId, offset]));
  session.close();
  const word = String(await ask(real, "PSYNC", realId, offset)).split(" ")[0] as string;
  return [`${offset} ${word}`, `${offset} ${/^\+(\w+)/.exec(answer)?.[1] ?? answer}`];
}

interface History {
  readonly fields: readonly (string | undefined)[];
  readonly replid: string;
  readonly replid2: string;
}

function historyIn(info: string): History {
  const found = infoFields(info);
  return {
    fields: FIELDS.map((name) => `${name} ${found.get(name) ?? ""}`),
    replid: found.get("master_replid") ?? "",
    replid2: found.get("master_replid2") ?? "",
  };
}

async function histories(real: RedisServer, sim: SimServer): Promise<readonly [real: History, model: History]> {
  return [historyIn(String(await ask(real, "INFO", "replication"))), historyIn(textOf(sim.call(["INFO", "replication"])))];
}

async function expectSamePsync(
  real: RedisServer,
  sim: SimServer,
  ids: (history: History) => string,
  offsets: readonly number[],
): Promise<void> {
  const [realHistory, modelHistory] = await histories(real, sim);
  const answers: (readonly [string, string])[] = [];
  for (const offset of offsets) answers.push(await psync(real, sim, ids(realHistory), ids(modelHistory), offset));
  expect(answers.map(([, answer]) => answer)).toEqual(answers.map(([answer]) => answer));
}

test("who may continue: before and behind a promotion", async () => {
  await using real = await RedisServer.start();
  await using follower = await RedisServer.start({ replicaOf: real });
  await follower.waitForSync();
  const primary = model("primary");
  const replica = primary.addReplica(model("replica"));
  const both = async (...args: string[]): Promise<void> => {
    await ask(real, ...args);
    primary.call(args);
  };
  for (const args of [
    ["SET", "a", "1"],
    ["RPUSH", "l", "x", "y"],
    ["INCR", "a"],
    ["DEL", "l"],
  ])
    await both(...args);
  await follower.waitForSync();
  replica.advance("all");
  const [seen, modelled] = await histories(real, primary);
  expect(modelled.fields).toEqual(seen.fields);
  const end = primary.log.offset;
  const offsets = [-1, 0, 1, 2, end - 1, end, end + 1, end + 2, end + 100];
  await expectSamePsync(real, primary, ({ replid }) => replid, offsets);
  await expectSamePsync(real, primary, () => UNKNOWN, [end + 1]);
  await ask(follower, "REPLICAOF", "NO", "ONE");
  const promoted = replica.promote();
  await ask(follower, "SET", "b", "1");
  promoted.call(["SET", "b", "1"]);
  const [after, modelAfter] = await histories(follower, promoted);
  expect(modelAfter.fields).toEqual(after.fields);
  expect([modelAfter.replid2, after.replid2]).toEqual([modelled.replid, seen.replid]);
  await expectSamePsync(follower, promoted, ({ replid2 }) => replid2, offsets);
  await expectSamePsync(follower, promoted, ({ replid }) => replid, offsets);
});

test("what a server knows of its history when it starts again from an RDB, and from a log", async () => {
  await using real = await RedisServer.start();
  const sim = model("server");
  const attached = await observe(real.port);
  const session = sim.connect({ send: () => undefined, hangUp: () => undefined });
  session.receive(encodeCommand(["PSYNC", "?", "-1"]));
  const both = async (...args: string[]): Promise<void> => {
    await ask(real, ...args);
    sim.call(args);
  };
  await ask(real, "DEBUG", "SET-ACTIVE-EXPIRE", "0");
  for (const args of [
    ["SET", "a", "1"],
    ["SET", "short", "1", "PX", "5"],
    ["INCR", "a"],
  ])
    await both(...args);
  const [former, modelFormer] = await histories(real, sim);
  await ask(real, "SAVE");
  sim.checkpoint();
  const saved = sim.log.offset;
  await both("INCR", "a");
  const due = Date.now() + 6;
  await real.kill();
  await waitUntil("the key has expired", () => Promise.resolve(Date.now() > due));
  await real.restart();
  sim.restart("earlier");
  const [after, modelAfter] = await histories(real, sim);
  expect(modelAfter.fields).toEqual(after.fields);
  expect([modelAfter.replid2, after.replid2]).toEqual([modelFormer.replid, former.replid]);
  const end = sim.log.offset;
  await expectSamePsync(real, sim, ({ replid2 }) => replid2, [1, saved, saved + 1, saved + 2, end + 1]);
  expect(String(await ask(real, "GET", "a"))).toBe(textOf(sim.call(["GET", "a"])));
  attached.close();

  await using logged = await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } });
  const other = model("logged");
  await ask(logged, "SET", "a", "1");
  other.call(["SET", "a", "1"]);
  await logged.kill();
  await logged.restart();
  other.restart("same");
  const [fresh, modelFresh] = await histories(logged, other);
  expect([modelFresh.fields, modelFresh.replid2]).toEqual([fresh.fields, fresh.replid2]);
  expect(String(await ask(logged, "GET", "a"))).toBe(textOf(other.call(["GET", "a"])));
});

test("a real server loads a copy as the model writes it", async () => {
  const sim = model("server");
  const made = [
    ["SET", "plain", "text"],
    ["SET", "number", "-70000"],
    ["SET", "long", "x".repeat(20_000)],
    ["SET", "timed", "1", "PXAT", "4102444800001"],
    ["RPUSH", "list", "a", "1", "b", "a"],
    ["SADD", "set", "a", "300"],
    ["HSET", "hash", "f", "v", "n", "-1"],
    ["ZADD", "zset", "1.5", "a", "-inf", "b"],
    ["SELECT", "3"],
    ["SET", "other", "db"],
  ];
  for (const args of made) sim.call(args);
  await using real = await RedisServer.start();
  await real.kill();
  await writeFile(join(real.dir, "dump.rdb"), sim.snapshot());
  await real.restart();
  const connection = await Connection.open({ host: "127.0.0.1", port: real.port });
  const reads = [
    "select 0|dbsize|get plain|get number|get long|pexpiretime timed|lrange list 0 -1|smembers set|hgetall hash|zrange zset 0 -1 withscores",
    "select 3|keys *|get other",
  ];
  sim.call(["SELECT", "0"]);
  for (const line of reads.flatMap((part) => part.split("|"))) {
    const [name = "", ...args] = line.split(" ");
    const seen = shown(name, await connection.call([name, ...args]));
    expect([line, shown(name, sim.call([name, ...args]))]).toEqual([line, seen]);
  }
  connection.close();
});

/** Each meets `k`, a string whose time is over and which is still there, beside `l`, `s` and `n`. */
const ON_EXPIRED = (
  "get k|set k v|set k v NX|set k v XX|set k v KEEPTTL|set k v GET|setnx k v|getset k v|getdel k|getex k PERSIST|mget k n|mset n 1 k 2|msetnx k 2 z 1|" +
  "append k v|strlen k|setrange k 2 v|incr k|incrbyfloat k 1|lpush k v|lpushx k v|rpop k|llen k|sadd k v|smembers k|hset k f v|" +
  "zadd k 1 v|zadd k XX 1 v|del k|del k n|unlink k|exists k k n|type k|rename k z|rename n k|renamenx n k|copy k z|copy n k|move k 1|" +
  "expire k 100|pexpireat k 4102444800000|persist k|ttl k|pttl k|pexpiretime k|keys *|scan 0 COUNT 100|dbsize|dump k|" +
  "lmove l k LEFT LEFT|rpoplpush k l|smove s k a|sunionstore k s s|sunionstore z k s|sinterstore k k s|flushdb|object encoding k|touch k"
).split("|");

/** A stream cut at each FLUSHALL, under the line of `ON_EXPIRED` that it belongs to; times that differ are left out. */
function byLine(commands: readonly (readonly string[])[]): string[] {
  const text = commands.map((command) => command.join(" ").replace(/\b1\d{12}\b/, "soon")).join(", ");
  const lines = [...ON_EXPIRED, "watched", "watched late"];
  return text.split("flushall, ").map((part, index) => `${lines[index - 1] ?? ""}: ${part.replace(/.*PXAT soon/, "")}`);
}

test("commands that meet a key whose time is over: the same replies, the same stream", async () => {
  await using real = await RedisServer.start({ config: { "repl-diskless-sync": "no" } });
  const connection = await Connection.open({ host: "127.0.0.1", port: real.port });
  await connection.call(["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
  const observed = await observe(real.port);
  const sim = model("server");
  const stream = new ObservedStream();
  sim.connect({ send: (bytes) => stream.push(bytes), hangUp: () => undefined }).receive(encodeCommand(["PSYNC", "?", "-1"]));
  const client = new ModelClient(sim);
  const both = async (args: readonly string[]): Promise<readonly [string, unknown, unknown]> => {
    const reply = await connection.call(args).catch((cause: unknown) => {
      if (cause instanceof ReplyError) return cause;
      throw cause;
    });
    const name = args[0] ?? "";
    return [args.join(" "), shown(name, reply), shown(name, client.ask(args))];
  };
  const differences: unknown[] = [];
  for (const line of [...ON_EXPIRED, "watched", "watched late"]) {
    const lifeMs = line.startsWith("watched") ? WATCHED_MS : 2;
    const before = [
      ["flushall"],
      ["rpush", "l", "a"],
      ["sadd", "s", "a"],
      ["set", "n", "5"],
      ["set", "k", "7", "PX", `${lifeMs}`],
    ];
    const watch = [["watch", "k"], ["multi"], ["incr", "n"]];
    if (line === "watched") before.push(...watch);
    for (const args of before) await both(args);
    const due = Date.now() + lifeMs + 1;
    await waitUntil("the key has expired", () => Promise.resolve(Date.now() > due), { everyMs: 1 });
    if (line === "watched late") for (const args of [...watch, ["get", "k"]]) await both(args);
    const args = line.startsWith("watched") ? ["exec"] : line.split(" ");
    const [shownLine, seen, modelled] = await both(args);
    if (!isClose(seen, modelled)) differences.push([shownLine, seen, modelled]);
  }
  expect(differences).toEqual([]);
  await both(["set", "end", "end"]);
  await waitUntil("the stream arrives", () => Promise.resolve(observed.stream.commands.at(-1)?.[1] === "end"));
  const [seen, modelled] = [observed.stream, stream].map(({ commands }) => byLine(commands));
  expect(modelled).toEqual(seen);
  observed.close();
  connection.close();
});
