import { Connection, ReplyError, type Endpoint, type Reply } from "@sluice/redis";
import { Halt, Retryable, type Clock } from "@sluice/runtime";
import { OWN_KEY_PREFIX } from "@sluice/wire";
import { fieldScript, keyScript, scriptCall, SETTLE_SINCE, type ServerScript, type SettleRule } from "./settle-script.ts";

/** Keys of one step: small enough that a server is never held up for longer than a few ms. */
const PAGE_KEYS = 500;
const PAGE_FIELDS = 500;
/** Whoever stood still for so long may have lost its lease, and another may have gone on: it looks again before it does. */
const STANDSTILL_MS = 3_000;
/** Nothing heard for so long with an answer due: the connection is dead, or the server is. */
const SILENCE_LIMIT_MS = 30_000;

/** What a walk has come to. */
export interface SettleCount {
  /** Keys that it looked at. */
  readonly looked: number;
  /** Expiries of keys and of fields that it changed. */
  readonly changed: number;
}

export interface SettleWalkOptions {
  readonly rule: SettleRule;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called behind every page with what it added. */
  readonly onPage: (page: SettleCount) => void;
}

/**
 * Sets the expiries of everything on one server by a rule: SCAN in every database, a page at a time, each page one script, or one for
 * each key in a cluster. SCAN returns every key that is there from the begin to the end of the walk, and one that comes later was written by
 * somebody else. Between two pages it rests for as long as the last one took, so that it takes half of the server at most.
 */
export class SettleServer {
  readonly #connection: Connection;
  readonly #isCluster: boolean;
  readonly #key: ServerScript;
  /** Null where the server has no expiries of fields. */
  readonly #field: ServerScript | null;

  private constructor(connection: Connection, isCluster: boolean, key: ServerScript, field: ServerScript | null) {
    this.#connection = connection;
    this.#isCluster = isCluster;
    this.#key = key;
    this.#field = field;
  }

  /** Throws `Halt` DST-012 when the server is too old, `ReplyError`, `ConnectionLost`. */
  static async open(endpoint: Endpoint, signal: AbortSignal): Promise<SettleServer> {
    const connection = await Connection.open(endpoint, { name: "sluice-settle", idleTimeoutMs: SILENCE_LIMIT_MS, signal });
    try {
      const version = versionIn(await connection.call(["INFO", "server"]));
      if (version < SETTLE_SINCE) {
        throw new Halt(
          "DST-012",
          `the expiries of ${endpoint.host}:${endpoint.port} can't be set right: its version is ${version}`,
        );
      }
      const isCluster = /^cluster_enabled:1/m.test(String(await connection.call(["INFO", "cluster"])));
      const key = keyScript(version);
      const [found] = (await connection.call(["COMMAND", "INFO", "HPEXPIRETIME"])) as Reply[];
      const field = Array.isArray(found) ? fieldScript : null;
      const server = new SettleServer(connection, isCluster, key, field);
      await server.#load();
      return server;
    } catch (cause) {
      connection.close();
      throw cause;
    }
  }

  /** Keys in all databases, Sluice's own included. */
  async count(): Promise<number> {
    const keyspace = String(await this.#connection.call(["INFO", "keyspace"]));
    return [...keyspace.matchAll(/^db\d+:keys=(\d+)/gm)].reduce((sum, [, keys]) => sum + Number(keys), 0);
  }

  /** Throws `ReplyError` (MOVED among them: the slots changed hands), `ConnectionLost`. */
  async walk(options: SettleWalkOptions): Promise<void> {
    const { rule, clock, signal, onPage } = options;
    const keyspace = String(await this.#connection.call(["INFO", "keyspace"]));
    let lastMs = clock.monotonicMs();
    for (const [, db] of keyspace.matchAll(/^db(\d+):/gm)) {
      await this.#connection.call(["SELECT", db as string]);
      let cursor = "0";
      do {
        const begunMs = clock.monotonicMs();
        if (begunMs - lastMs > STANDSTILL_MS) throw stoodStill(begunMs - lastMs);
        lastMs = begunMs;
        const [next, found] = readScan(await this.#connection.call(["SCAN", cursor, "COUNT", PAGE_KEYS]));
        const changed = await this.#settleKeys(
          found.filter((key) => !isOwn(key)),
          rule,
        );
        cursor = next;
        onPage({ looked: found.length, changed });
        await clock.sleep(clock.monotonicMs() - begunMs, signal);
      } while (cursor !== "0" && !signal.aborted);
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #load(): Promise<void> {
    for (const script of [this.#key, this.#field])
      if (script !== null) await this.#connection.call(["SCRIPT", "LOAD", script.body]);
  }

  async #settleKeys(keys: readonly Buffer[], rule: SettleRule): Promise<number> {
    if (keys.length === 0) return 0;
    // A cluster takes the keys of one slot at a time.
    const shares = this.#isCluster ? keys.map((key) => [key]) : [keys];
    let changed = await this.#sum(shares.map((share) => scriptCall(this.#key, rule, share)));
    if (this.#field === null) return changed;
    const types = await this.#all(keys.map((key) => ["TYPE", key]));
    for (const [index, type] of types.entries()) {
      const key = keys[index];
      if (key !== undefined && String(type) === "hash") changed += await this.#settleFields(key, this.#field, rule);
    }
    return changed;
  }

  /** A hash of any size, a page of fields at a time. In a plain listpack no field has an expiry. */
  async #settleFields(key: Buffer, script: ServerScript, rule: SettleRule): Promise<number> {
    const encoding = await this.#connection.call(["OBJECT", "ENCODING", key]);
    if (String(encoding) === "listpack") return 0;
    let changed = 0;
    let cursor = "0";
    do {
      const [next, fields] = readScan(await this.#connection.call(["HSCAN", key, cursor, "COUNT", PAGE_FIELDS, "NOVALUES"]));
      // A small hash comes whole, however many fields it has.
      for (let at = 0; at < fields.length; at += PAGE_FIELDS) {
        changed += await this.#sum([scriptCall(script, rule, [key], fields.slice(at, at + PAGE_FIELDS))]);
      }
      cursor = next;
    } while (cursor !== "0");
    return changed;
  }

  /** Sum of the answers of scripts; a server that has forgotten them is told again. */
  async #sum(calls: readonly (readonly (string | number | Buffer)[])[]): Promise<number> {
    try {
      return (await this.#all(calls)).reduce((sum: number, changed) => sum + Number(changed), 0);
    } catch (cause) {
      if (!(cause instanceof ReplyError) || cause.code !== "NOSCRIPT") throw cause;
      await this.#load();
      return (await this.#all(calls)).reduce((sum: number, changed) => sum + Number(changed), 0);
    }
  }

  /** The answers to a pipeline; rejects with the first error, when all have come. */
  async #all(calls: readonly (readonly (string | number | Buffer)[])[]): Promise<Reply[]> {
    const settled = await Promise.allSettled(calls.map(async (call) => this.#connection.call(call)));
    return settled.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
  }
}

function stoodStill(forMs: number): Retryable {
  return new Retryable("DST-003", "destination", `a page of keys took ${Math.round(forMs)} ms; looking at all again`);
}

function readScan(reply: Reply): [cursor: string, found: Buffer[]] {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) throw new Error("SCAN answered something else than a cursor and keys");
  return [String(reply[0]), reply[1].filter((key) => Buffer.isBuffer(key))];
}

function isOwn(key: Buffer): boolean {
  return key.toString("latin1", 0, OWN_KEY_PREFIX.length) === OWN_KEY_PREFIX;
}

/** `major * 10000 + minor * 100 + patch` of INFO's redis_version. */
function versionIn(info: Reply): number {
  const [, major, minor, patch] = /^redis_version:(\d+)\.(\d+)\.(\d+)/m.exec(String(info)) ?? [];
  return Number(major ?? 0) * 10_000 + Number(minor ?? 0) * 100 + Number(patch ?? 0);
}
