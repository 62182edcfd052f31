import type { Redis } from "ioredis";
import type { Command } from "../workload/command.ts";
import { runPipeline, type Reply } from "../workload/pipeline.ts";
import { byText, type CanonicalGroup, type CanonicalKey, type CanonicalStream, type CanonicalValue } from "./canonical.ts";

const readCommands: Readonly<Record<string, (key: Buffer) => Command>> = {
  string: (key) => ["GET", key],
  list: (key) => ["LRANGE", key, 0, -1],
  set: (key) => ["SMEMBERS", key],
  hash: (key) => ["HGETALL", key],
  zset: (key) => ["ZRANGE", key, 0, -1, "WITHSCORES"],
  stream: (key) => ["XINFO", "STREAM", key, "FULL", "COUNT", 0],
};

/**
 * Reads keys of the database the client is in; needs Redis 7.0 (PEXPIRETIME). Undefined where there is no such key.
 *
 * @throws Error when a command fails, or for a type that only a module knows
 */
export async function readKeys(client: Redis, db: number, keys: readonly Buffer[]): Promise<(CanonicalKey | undefined)[]> {
  const types = await runPipeline(
    client,
    keys.map((key): Command => ["TYPE", key]),
  );
  const commands = keys.flatMap((key, index): Command[] => {
    const type = text(types[index]);
    if (type === "none") return [["PING"], ["PEXPIRETIME", key]];
    const command = readCommands[type];
    if (command === undefined) throw new Error(`db ${db}, key ${key.toString("latin1")}: can't read type ${type}`);
    return [command(key), ["PEXPIRETIME", key]];
  });
  const replies = await runPipeline(client, commands);
  return keys.map((key, index) => {
    const expiry = Number(expectReply(replies[index * 2 + 1]));
    const type = text(types[index]);
    if (expiry === -2 || type === "none") return undefined; // expired in between, or never there
    const value = canonicalValue(type, expectReply(replies[index * 2]));
    return { db, key: key.toString("base64"), pexpireat: expiry === -1 ? null : expiry, ...value };
  });
}

function canonicalValue(type: string, reply: Reply): CanonicalValue {
  switch (type) {
    case "string":
      return { type, value: base64(reply) };
    case "list":
      return { type, value: list(reply).map(base64) };
    case "set":
      return { type, value: list(reply).map(base64).toSorted(byText) };
    case "hash":
      return { type, value: pairs(reply, (field, value) => [base64(field), base64(value)] as const).toSorted(byFirst) };
    case "zset":
      return { type, value: pairs(reply, (member, score) => [base64(member), text(score)] as const) };
    default:
      return { type: "stream", value: canonicalStream(fields(reply)) };
  }
}

function canonicalStream(stream: ReadonlyMap<string, Reply>): CanonicalStream {
  return {
    entries: list(stream.get("entries")).map((entry) => {
      const [id, content] = list(entry);
      return [text(id), list(content).map(base64)];
    }),
    lastId: text(stream.get("last-generated-id")),
    entriesAdded: numberOrNull(stream.get("entries-added")),
    maxDeletedId: stream.has("max-deleted-entry-id") ? text(stream.get("max-deleted-entry-id")) : null,
    groups: list(stream.get("groups"))
      .map((group) => canonicalGroup(fields(group)))
      .toSorted((left, right) => byText(left.name, right.name)),
  };
}

/** The pending lists are called "pending" in 6.2 and 7.0, "pel" in 6.0 and from 7.2 on (t_stream.c, xinfoReplyWithStreamInfo). */
function canonicalGroup(group: ReadonlyMap<string, Reply>): CanonicalGroup {
  return {
    name: base64(group.get("name")),
    lastId: text(group.get("last-delivered-id")),
    entriesRead: numberOrNull(group.get("entries-read")),
    pel: list(group.get("pel") ?? group.get("pending")).map((entry) => {
      const [id, consumer, timeMs, count] = list(entry);
      return [text(id), base64(consumer), Number(timeMs), Number(count)];
    }),
    consumers: list(group.get("consumers"))
      .map((entry) => {
        const consumer = fields(entry);
        return {
          name: base64(consumer.get("name")),
          seenTime: Number(consumer.get("seen-time")),
          activeTime: numberOrNull(consumer.get("active-time")),
          pending: list(consumer.get("pel") ?? consumer.get("pending")).map((pending) => text(list(pending)[0])),
        };
      })
      .toSorted((left, right) => byText(left.name, right.name)),
  };
}

function expectReply(reply: Reply | undefined): Reply {
  if (reply instanceof Error) throw reply;
  if (reply === undefined) throw new Error("a reply is missing");
  return reply;
}

function list(reply: Reply | undefined): Reply[] {
  if (!Array.isArray(reply)) throw new Error(`expected an array, got ${String(reply)}`);
  return reply;
}

function text(reply: Reply | undefined): string {
  if (reply instanceof Error) throw reply;
  return String(reply);
}

function base64(reply: Reply | undefined): string {
  if (!Buffer.isBuffer(reply)) throw new Error(`expected a bulk string, got ${String(reply)}`);
  return reply.toString("base64");
}

function numberOrNull(reply: Reply | undefined): number | null {
  return typeof reply === "number" ? reply : null;
}

function pairs<T>(reply: Reply, make: (first: Reply, second: Reply) => T): T[] {
  const flat = list(reply);
  const made: T[] = [];
  for (let index = 0; index < flat.length; index += 2) made.push(make(flat[index] ?? null, flat[index + 1] ?? null));
  return made;
}

function fields(reply: Reply): Map<string, Reply> {
  return new Map(pairs(reply, (name, value) => [text(name), value] as const));
}

function byFirst(left: readonly [string, string], right: readonly [string, string]): number {
  return byText(left[0], right[0]);
}
