import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fixturesDir, freePort, releasePort } from "@sluice/testkit";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { RdbReader } from "./rdb-reader.ts";
import type { RdbSink } from "./rdb-sink.ts";
import { readDumpPayload, restorePayload } from "./dump-payload.ts";
import { RDB_FUNCTION } from "./rdb-type.ts";

const FIXTURES = new URL(`file://${fixturesDir}`);

interface Server extends AsyncDisposable {
  readonly redis: Redis;
  /** What SAVE writes. */
  save(): Promise<Buffer>;
}

/** A redis-server on a free port, with the content of an RDB file if one is given. */
async function startServer(rdb?: URL): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-rdb-"));
  if (rdb !== undefined) await copyFile(rdb, join(dir, "dump.rdb"));
  const port = await freePort();
  const options = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--enable-debug-command", "yes"];
  const server = spawn("redis-server", options, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(server, "exit");
  for await (const line of createInterface({ input: server.stdout })) if (line.includes("Ready to accept connections")) break;
  const redis = new Redis({ port, host: "127.0.0.1", maxRetriesPerRequest: 0 });
  return {
    redis,
    async save() {
      await redis.save();
      return readFile(join(dir, "dump.rdb"));
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      server.kill("SIGKILL");
      await exited;
      releasePort(port);
      await rm(dir, { recursive: true });
    },
  };
}

interface Copied {
  readonly db: number;
  readonly key: Buffer;
  readonly type: number;
  readonly expireAtMs: number;
  readonly value: Buffer[];
}

function readAll(rdb: Buffer, partBytes: number): { entries: Copied[]; libraries: Buffer[] } {
  const entries: Copied[] = [];
  const libraries: Buffer[] = [];
  const nothing = (): void => {};
  const sink: RdbSink = {
    aux: nothing,
    selectDb: nothing,
    resizeDb: nothing,
    moduleAux: nothing,
    entryEnd: nothing,
    functionLibrary: (raw) => libraries.push(Buffer.from(raw)),
    entry: ({ db, key, type, expireAtMs, value }) =>
      entries.push({ db, key: Buffer.from(key), type, expireAtMs, value: [Buffer.from(value)] }),
    entryStart: ({ db, key, type, expireAtMs }) => entries.push({ db, key: Buffer.from(key), type, expireAtMs, value: [] }),
    entryPart: (bytes) => entries.at(-1)!.value.push(Buffer.from(bytes)),
  };
  const reader = new RdbReader(sink, { partBytes });
  for (let at = 0; at < rdb.length; at += 4096) reader.push(rdb.subarray(at, at + 4096));
  reader.finish();
  return { entries, libraries };
}

async function fill(redis: Redis): Promise<void> {
  const many = Array.from({ length: 600 }, (_, n) => `member-${n}`);
  const long = "x".repeat(100);
  await redis.mset(
    "plain",
    "a value",
    "number",
    "12345",
    "packed",
    "z".repeat(5000),
    "bytes",
    Buffer.from([0, 255, 13, 10]),
    "12345",
    "n",
    "",
    "e",
  );
  await redis.set("big", Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7919) >> 3)));
  await redis.rpush("list", "a", "1", long);
  await redis.rpush("long list", ...many, "y".repeat(20_000));
  await redis.sadd("integers", 1, 2, 70_000);
  await redis.sadd("set", ...many);
  await redis.zadd("zset", 1.5, "a", "-inf", "b", "+inf", "c");
  await redis.zadd("long zset", ...many.flatMap((member, n) => [n / 3, member]));
  await redis.hset("hash", "a", "1", "b", "2");
  await redis.hset("long hash", ...many.flatMap((field) => [field, long]));
  await redis.pfadd("hll", ...many);
  await redis.geoadd("geo", 13.36, 38.11, "Palermo");
  for (let n = 0; n < 250; n++) await redis.xadd("stream", `${1000 + n}-${n}`, "field", `value-${n}`, long, "v");
  await redis.xgroup("CREATE", "stream", "readers", "0");
  await redis.xgroup("CREATE", "stream", "idle", "$");
  await redis.xreadgroup("GROUP", "readers", "first", "COUNT", 7, "STREAMS", "stream", ">");
  await redis.xreadgroup("GROUP", "readers", "second", "COUNT", 3, "STREAMS", "stream", ">");
  await redis.xdel("stream", "1001-1", "1200-200");
  await redis.set("expiring", "v", "PXAT", 2_840_140_800_123);
  await redis.function("LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)");
  await redis.select(3);
  await redis.set("plain", "of database 3");
  await redis.select(0);
}

test(
  "what is cut out of a SAVE is what DUMP answers, but for the stamp, and RESTORE takes it",
  { timeout: 60_000 },
  async () => {
    await using source = await startServer();
    await using destination = await startServer();
    await fill(source.redis);
    const rdb = await source.save();
    const { entries, libraries } = readAll(rdb, 1000);
    expect(entries.length).toBe(20);
    expect(entries.filter(({ value }) => value.length > 1).length).toBeGreaterThan(4);
    for (const { db, key, type, expireAtMs, value } of entries) {
      const payload = Buffer.concat(restorePayload(type, ...value));
      await source.redis.select(db);
      await destination.redis.select(db);
      const dump = await source.redis.dumpBuffer(key);
      expect(readDumpPayload(dump), key.toString()).toEqual({ type, value: Buffer.concat(value), rdbVersion: 10 });
      expect(await source.redis.call("PEXPIRETIME", key)).toBe(expireAtMs);
      await destination.redis.restore(key, Math.max(expireAtMs, 0), payload, "ABSTTL");
      const digest = await source.redis.debug("DIGEST-VALUE", key);
      expect(await destination.redis.debug("DIGEST-VALUE", key)).toEqual(digest);
    }
    expect(await destination.redis.debug("DIGEST")).toBe(await source.redis.debug("DIGEST"));
    await destination.redis.call("FUNCTION", "RESTORE", Buffer.concat(restorePayload(RDB_FUNCTION, ...libraries)));
    expect(await destination.redis.call("FUNCTION", "DUMP")).toEqual(await source.redis.call("FUNCTION", "DUMP"));
  },
);

const versions = ["2.8.24", "3.0.7", "3.2.13", "4.0.14", "5.0.14", "6.0.20", "6.2.16", "7.0.15"];

test.each(versions)("RESTORE key by key gives what loading the file of %s gives", { timeout: 60_000 }, async (version) => {
  const file = new URL(`redis-${version}/dump.rdb`, FIXTURES);
  await using loaded = await startServer(file);
  await using destination = await startServer();
  const { entries } = readAll(await readFile(file), 1000);
  const pipeline = destination.redis.pipeline();
  for (const { db, key, type, expireAtMs, value } of entries) {
    pipeline.select(db);
    pipeline.restore(key, Math.max(expireAtMs, 0), Buffer.concat(restorePayload(type, ...value)), "ABSTTL");
  }
  const replies = await pipeline.exec();
  expect(replies!.filter(([error]) => error !== null)).toEqual([]);
  expect(await destination.redis.debug("DIGEST")).toBe(await loaded.redis.debug("DIGEST"));
  const sizes = async ({ redis }: Server): Promise<string> => (await redis.info("keyspace")).replaceAll(/,avg_ttl=\d+/g, "");
  expect(await sizes(destination)).toBe(await sizes(loaded));
});
