import type { Command } from "./command.ts";
import type { StepSource } from "./step-source.ts";

type Drawing = (source: StepSource) => Command[];

const MAX_LENGTH = 120;

/** The group on every task stream. */
export const TASK_GROUP = "workers";

/** Single commands by type; each entry is as likely as the others of its family. A drawing gives the commands of one step. */
export const dataSteps = {
  strings: [
    (s) => [["SET", s.key("string"), s.value()]],
    (s) => [["SET", s.key("string"), s.value()]],
    (s) => [["APPEND", s.key("string"), s.random.word(5)]],
    (s) => [["SETRANGE", s.key("string"), s.random.between(0, 2000), s.random.word(6)]],
    (s) => [["SETBIT", s.key("bitmap"), s.random.between(0, 9000), s.random.between(0, 1)]],
    (s) => [["SETNX", s.key("string"), s.value()]],
    (s) => [["GETSET", s.key("string"), s.value()]],
    (s) => [["INCR", s.key("number")]],
    (s) => [["DECRBY", s.key("number"), s.random.between(1, 1000)]],
    (s) => [["INCRBYFLOAT", s.key("float"), s.random.pick(["0.5", "-0.1", "3.0e2", "1.1"])]],
    (s) => [["MSET", ...Array.from({ length: s.random.between(1, 5) }, () => [s.key("string"), s.value()]).flat()]],
  ],
  hashes: [
    (s) => [["HSET", s.key("hash"), `f${s.random.between(0, 30)}`, s.value(), `f${s.random.between(0, 30)}`, s.value()]],
    (s) => [["HSET", s.key("hash"), s.member(), s.value()]],
    (s) => [["HINCRBY", s.key("hash"), "n", s.random.between(-5, 50)]],
    (s) => [["HINCRBYFLOAT", s.key("hash"), "x", "0.25"]],
    (s) => [["HDEL", s.key("hash"), `f${s.random.between(0, 30)}`, s.member()]],
    (s) => [["HSETNX", s.key("hash"), s.member(), s.value()]],
  ],
  lists: [
    (s) => [["LPUSH", s.key("list"), s.member(), s.value()]],
    (s) => [["RPUSH", s.key("list"), s.member(), s.value()]],
    (s) => [["RPUSH", s.key("list"), s.member(), s.member(), s.member()]],
    (s) => [["LPOP", s.key("list")]],
    (s) => [["RPOP", s.key("list"), 2]],
    (s) => [["LTRIM", s.key("list"), s.random.between(0, 1), MAX_LENGTH]],
    (s) => [["LINSERT", s.key("list"), s.random.pick(["BEFORE", "AFTER"]), s.member(), s.value()]],
    (s) => [["LREM", s.key("list"), s.random.between(-2, 2), s.member()]],
    (s) => [["LMOVE", s.key("list"), s.key("list"), s.random.pick(["LEFT", "RIGHT"]), s.random.pick(["left", "right"])]],
  ],
  sets: [
    (s) => [["SADD", s.key("set"), s.member(), s.random.between(0, 9999)]],
    (s) => [["SADD", s.key("set"), s.random.between(0, 999), s.random.between(0, 99_999)]],
    (s) => [["SREM", s.key("set"), s.member(), s.member()]],
    (s) => [["SPOP", s.key("set")]],
    (s) => [["SPOP", s.key("set"), s.random.between(2, 4)]],
    (s) => [["SMOVE", s.key("set"), s.key("set"), s.member()]],
  ],
  zsets: [
    (s) => [["ZADD", s.key("zset"), s.random.fraction() * 1000, s.member()]],
    (s) => [["ZADD", s.key("zset"), s.random.pick(["0.1", "-0", "1e-9", "17"]), s.member(), s.random.uint32(), s.member()]],
    (s) => [["ZINCRBY", s.key("zset"), s.random.fraction() - 0.5, s.member()]],
    (s) => [["ZPOPMIN", s.key("zset")]],
    (s) => [["ZREMRANGEBYRANK", s.key("zset"), 40, -1]],
    (s) => [["ZREM", s.key("zset"), s.member(), s.member()]],
    (s) => [
      ["GEOADD", s.key("geo"), (s.random.fraction() * 100).toFixed(6), (s.random.fraction() * 80).toFixed(6), s.member()],
    ],
  ],
  streams: [
    (s) => [["XADD", s.key("stream"), "*", "n", s.random.uint32(), "text", s.value()]],
    (s) => [["XTRIM", s.key("stream"), "MAXLEN", s.random.pick(["=", "~"]), MAX_LENGTH]],
    (s) => addTask(s),
    (s) => addTask(s),
    (s) => [["XREADGROUP", "GROUP", TASK_GROUP, consumer(s), "COUNT", 3, "STREAMS", s.ownKey("task"), ">"]],
    (s) => [["XREADGROUP", "GROUP", TASK_GROUP, consumer(s), "COUNT", 1, "NOACK", "STREAMS", s.ownKey("task"), ">"]],
    (s) => onTask(s, (key, id) => ["XACK", key, TASK_GROUP, id]),
    (s) => onTask(s, (key, id) => ["XDEL", key, id]),
    (s) => onTask(s, (key, id) => ["XCLAIM", key, TASK_GROUP, consumer(s), 0, id, "JUSTID"]),
    (s) => [["XTRIM", s.ownKey("task"), "MAXLEN", MAX_LENGTH]],
  ],
  hyperloglogs: [
    (s) => [["PFADD", s.key("hll"), s.member(), s.random.uint32()]],
    (s) => [["PFADD", s.key("hll"), s.random.uint32(), s.random.uint32(), s.random.uint32()]],
    (s) => [["PFMERGE", s.key("hll"), s.key("hll")]],
  ],
  expiries: [
    (s) => [["PEXPIRE", s.key(s.kind()), s.lifetimeMs()]],
    (s) => [["EXPIRE", s.key(s.kind()), Math.ceil(s.lifetimeMs() / 1000)]],
    (s) => [["PEXPIREAT", s.key(s.kind()), Date.now() + s.lifetimeMs()]],
    (s) => [["PERSIST", s.key(s.kind())]],
    (s) => [["SET", s.key("string"), s.value(), "EX", Math.ceil(s.lifetimeMs() / 1000)]],
    (s) => [["SET", s.key("string"), s.value(), "PX", s.lifetimeMs()]],
    (s) => [["GETEX", s.key("string"), "PX", s.lifetimeMs()]],
  ],
  keyspace: [
    (s) => [["DEL", s.key(s.kind())]],
    (s) => [["UNLINK", s.key(s.kind()), s.key(s.kind())]],
    (s) => copy(s),
    (s) => copy(s),
    (s) => [["GETDEL", s.key("string")]],
    (s) => rename(s, "string", (key) => ["SET", key, s.value()]),
    (s) => rename(s, "hash", (key) => ["HSET", key, s.member(), s.value()]),
    (s) => rename(s, "list", (key) => ["RPUSH", key, s.member()]),
  ],
} satisfies Record<string, Drawing[]>;

function consumer(source: StepSource): string {
  return `consumer-${source.random.between(1, 4)}`;
}

function addTask(source: StepSource): Command[] {
  const key = source.ownKey("task");
  return [["XADD", key, `${source.nextNumber(key)}-1`, "job", source.value()]];
}

function onTask(source: StepSource, command: (key: string, id: string) => Command): Command[] {
  const key = source.ownKey("task");
  return [command(key, `${source.recentNumber(key)}-1`)];
}

function copy(source: StepSource): Command[] {
  const kind = source.kind();
  const [from, to] = [source.key(kind), source.key(kind)];
  return String(from) === String(to) ? [["DEL", to]] : [["COPY", from, to, "REPLACE"]];
}

/** The key is written right before, because RENAME of a missing key is an error. */
function rename(source: StepSource, kind: "string" | "hash" | "list", write: (key: string | Buffer) => Command): Command[] {
  const [from, to] = [source.key(kind), source.key(kind)];
  return [write(from), ["RENAME", from, to]];
}
