import {
  Connection,
  ConnectionLost,
  infoFields,
  RdbError,
  readDumpPayload,
  ReplyError,
  type CommandArgument,
  type DumpPayload,
  type Endpoint,
  type Reply,
} from "@sluice/redis";
import { describeFault, Halt, printable, Retryable, trustFault } from "@sluice/runtime";
import { keyOfPlace, type Place } from "./commands-of.ts";

/** The history that a lane's offsets belong to, as the ingest of its shard reports it. */
export interface ShardHistory {
  readonly epoch: number;
  readonly replid: string;
  readonly storedOffset: number;
}

/** A key as it is at the source. */
export interface KeyImage {
  readonly place: Place;
  /** Null where the source has no such key. */
  readonly value: DumpPayload | null;
  /** In ms since 1970; null for a key that does not expire. */
  readonly expireAtMs: number | null;
}

export interface SourceImages {
  /** The source's offset at which all of them are so. */
  readonly offset: number;
  /** Replication id of the server that was asked; the offset is one of its history. */
  readonly replid: string;
  readonly images: readonly KeyImage[];
}

const PEXPIRETIME_SINCE = 70_000;
const SILENCE_LIMIT_MS = 30_000;

/**
 * Reads keys and the offset that they stand at, in one transaction, from the primary that serves them. `atLeast`: offset that
 * they must be at or beyond. `history`: what the offset has to belong to.
 *
 * Throws `Retryable` SRC-001, SRC-011 (another history, a replica, or behind `atLeast`), `Halt` SRC-002, DST-006.
 */
export async function readSourceKeys(
  endpoint: Endpoint,
  shard: string,
  places: readonly Place[],
  atLeast: number,
  history: ShardHistory,
  signal: AbortSignal,
): Promise<SourceImages> {
  let connection: Connection | null = null;
  try {
    connection = await openPrimary(endpoint, signal);
    return await readAt(connection, shard, places, atLeast, history);
  } catch (cause) {
    const untrusted = trustFault(cause);
    if (untrusted !== null) throw new Halt("SRC-017", `source ${shard}: ${printable(untrusted)}`, { cause });
    if (cause instanceof ConnectionLost) throw away(shard, cause);
    if (!(cause instanceof ReplyError)) throw cause;
    if (/^(NOAUTH|NOPERM|WRONGPASS)/.test(cause.message)) {
      throw new Halt(
        "SRC-002",
        `source ${shard} refuses what a repair of keys needs: ${printable(cause.message.slice(0, 200))}`,
      );
    }
    throw notNow(shard, `it answered ${printable(cause.message.slice(0, 200))}`);
  } finally {
    connection?.close();
  }
}

/** A connection to the server, or, where it is a replica, to its primary: only there an offset and a value go together for sure. */
async function openPrimary(endpoint: Endpoint, signal: AbortSignal): Promise<Connection> {
  const options = { name: "sluice-repair", idleTimeoutMs: SILENCE_LIMIT_MS, signal };
  const connection = await Connection.open(endpoint, options);
  try {
    const fields = infoFields(String(await connection.call(["INFO", "replication"])));
    const [host, port] = [fields.get("master_host"), Number(fields.get("master_port"))];
    if (fields.get("role") !== "slave" || host === undefined || !Number.isInteger(port)) return connection;
    connection.close();
    return await Connection.open({ ...endpoint, host, port }, options);
  } catch (cause) {
    connection.close();
    throw cause;
  }
}

async function readAt(
  connection: Connection,
  shard: string,
  places: readonly Place[],
  atLeast: number,
  history: ShardHistory,
): Promise<SourceImages> {
  const server = infoFields(String(await connection.call(["INFO", "server"])));
  const hasExpireTime = versionOf(server.get("redis_version")) >= PEXPIRETIME_SINCE;
  const { commands, at } = questionsFor(places, hasExpireTime);
  const queued = [["MULTI"], ...commands, ["EXEC"]].map((command) => connection.call(command));
  const replies = (await Promise.all(queued)).at(-1);
  if (!Array.isArray(replies)) throw notNow(shard, "its transaction was given up");
  const failed = replies.find((reply) => reply instanceof ReplyError);
  if (failed !== undefined) throw failed;
  const fields = infoFields(String(replies.at(-1)));
  const offset = offsetIn(fields, server.get("run_id"), history);
  if (typeof offset === "string") throw notNow(shard, offset);
  if (offset < atLeast) throw notNow(shard, `it stands at offset ${offset}, and the lane at ${atLeast}`);
  const nowMs = hasExpireTime ? 0 : millisecondsOf(replies[0]);
  const images = places.map((place, index) =>
    imageOf(place, replies[at[index] as number], replies[(at[index] as number) + 1], nowMs),
  );
  return { offset, replid: replidOf(fields, server.get("run_id")) ?? "", images };
}

/** What is asked inside the transaction, and where the answers of each place begin. TIME comes first, INFO last. */
function questionsFor(places: readonly Place[], hasExpireTime: boolean): { commands: CommandArgument[][]; at: number[] } {
  const commands: CommandArgument[][] = [["TIME"]];
  const at: number[] = [];
  let selected = 0;
  for (const place of places) {
    const { db, key } = keyOfPlace(place);
    if (db !== selected) commands.push(["SELECT", db]);
    selected = db;
    at.push(commands.length);
    commands.push(["DUMP", key], [hasExpireTime ? "PEXPIRETIME" : "PTTL", key]);
  }
  commands.push(["INFO", "replication"]);
  return { commands, at };
}

/**
 * The offset of a primary's INFO replication, or what speaks against its belonging to the history. A server before 4.0 has no
 * `master_replid`: its history is its run (replication.c, PSYNC).
 */
export function offsetIn(
  fields: ReadonlyMap<string, string>,
  runId: string | undefined,
  history: ShardHistory,
): number | string {
  if (fields.get("role") !== "master")
    return `it is a ${printable((fields.get("role") ?? "server without a role").slice(0, 20))}`;
  const offset = Number(fields.get("master_repl_offset"));
  if (!Number.isSafeInteger(offset)) return "it tells no offset";
  const replid = replidOf(fields, runId);
  if (replid === history.replid) return offset;
  const shared = Number(fields.get("second_repl_offset") ?? -1);
  // A promoted replica goes on from the history before: offsets below `second_repl_offset` are in both.
  if (fields.get("master_replid2") === history.replid && shared > history.storedOffset) return offset;
  return "its replication history is another than the lane's";
}

/** A server before 4.0 has its run for a history. */
function replidOf(fields: ReadonlyMap<string, string>, runId: string | undefined): string | undefined {
  return fields.get("master_replid") ?? runId;
}

function imageOf(place: Place, dump: Reply | undefined, expiry: Reply | undefined, nowMs: number): KeyImage {
  if (!Buffer.isBuffer(dump)) return { place, value: null, expireAtMs: null };
  const expires = Number(expiry ?? -1);
  return { place, value: valueOf(dump), expireAtMs: expires < 0 ? null : nowMs + expires };
}

function valueOf(dump: Buffer): DumpPayload {
  try {
    return readDumpPayload(dump);
  } catch (cause) {
    if (!(cause instanceof RdbError)) throw cause;
    throw new Halt("DST-006", "the source's DUMP of a key that differs can't be read by this release", { cause });
  }
}

function millisecondsOf(time: Reply | undefined): number {
  const [seconds, micros] = Array.isArray(time) ? time.map(Number) : [];
  return (seconds ?? 0) * 1_000 + Math.floor((micros ?? 0) / 1_000);
}

function versionOf(text: string | undefined): number {
  const [major, minor, patch] = (text ?? "").split(".").map(Number);
  return (major ?? 0) * 10_000 + (minor ?? 0) * 100 + (patch ?? 0);
}

function away(shard: string, cause: unknown): Retryable {
  return new Retryable("SRC-001", `source ${shard}`, `source ${shard} can't be asked for keys: ${describeFault(cause)}`);
}

function notNow(shard: string, why: string): Retryable {
  return new Retryable("SRC-011", `source ${shard}`, `source ${shard} can't be asked for keys now: ${why}`);
}
