import { Connection, ReplyError, type Endpoint, type Reply } from "@sluice/redis";
import { Halt, type Clock } from "@sluice/runtime";
import { OWN_KEY_PREFIX } from "@sluice/wire";
import type { KeptLookup } from "./kept-lookup.ts";
import { fieldScript, keyScript, scriptCall, SETTLE_SINCE, type ServerScript, type SettleRule } from "./settle-script.ts";
import { Standstill, STANDSTILL_MS } from "./standstill.ts";

/** Keys of one step: small enough that a server is never held up for longer than a few ms. */
const PAGE_KEYS = 500;
const PAGE_FIELDS = 500;
/** Hashes whose fields are asked for at once. */
const HASHES_AT_ONCE = 16;
const LONGEST_REST_MS = 1_000;
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
  /** Where the destination keeps keys of others: those are left out. */
  readonly kept?: Pick<KeptLookup, "written">;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called behind every page with what it added. */
  readonly onPage: (page: SettleCount) => void;
}

type Call = readonly (string | number | Buffer)[];

/** What one call of a script is for. */
interface ScriptCall {
  readonly keys: readonly Buffer[];
  readonly fields: readonly Buffer[];
}

/** What holds for a whole walk. */
interface Pass {
  readonly rule: SettleRule;
  readonly standstill: Standstill;
  readonly signal: AbortSignal;
}

/**
 * Sets the expiries of everything on one server by a rule: SCAN in every database, a page at a time, each page one script, or one for
 * each key in a cluster. SCAN returns every key that is there from the begin to the end of the walk, and one that comes later was written by
 * somebody else. Between two pages it rests for as long as the last one took, up to a second, so that it takes half of the server at most.
 *
 * Every change names a time by the server's clock, 3 s behind the server's last answer to TIME: what reaches the server later, from a
 * coordinator that was paused or over a connection that hung, changes nothing. One that is only slow asks for the time again.
 */
export class SettleServer {
  readonly #connection: Connection;
  readonly #isCluster: boolean;
  readonly #key: ServerScript;
  /** Null where the server has no expiries of fields. */
  readonly #field: ServerScript | null;
  /** By the server's clock; nothing is changed behind it. */
  #untilMs = 0;

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
    const { rule, kept, clock, signal, onPage } = options;
    const standstill = new Standstill(clock);
    const ending = new AbortController();
    const ticking = standstill.run(ending.signal);
    const pass: Pass = { rule, standstill, signal };
    try {
      const keyspace = String(await this.#connection.call(["INFO", "keyspace"]));
      for (const [, db] of keyspace.matchAll(/^db(\d+):/gm)) {
        await this.#connection.call(["SELECT", db as string]);
        let cursor = "0";
        do {
          const begunMs = clock.monotonicMs();
          const [next, found] = readScan(await this.#timed(["SCAN", cursor, "COUNT", PAGE_KEYS]));
          const others = found.filter((key) => !isOwn(key));
          const written = kept === undefined ? others : await kept.written(Number(db), others);
          const changed = await this.#settleKeys(written, pass);
          cursor = next;
          onPage({ looked: found.length, changed });
          await clock.sleep(Math.min(LONGEST_REST_MS, clock.monotonicMs() - begunMs), signal);
        } while (cursor !== "0" && !signal.aborted);
      }
    } finally {
      ending.abort();
      await ticking;
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #load(): Promise<void> {
    for (const script of [this.#key, this.#field])
      if (script !== null) await this.#connection.call(["SCRIPT", "LOAD", script.body]);
  }

  async #settleKeys(keys: readonly Buffer[], pass: Pass): Promise<number> {
    if (keys.length === 0) return 0;
    // A cluster takes the keys of one slot at a time.
    const shares = this.#isCluster ? keys.map((key) => [key]) : [keys];
    const changed = await this.#sum(
      this.#key,
      shares.map((share) => ({ keys: share, fields: [] })),
      pass,
    );
    if (this.#field === null) return changed;
    const types = await this.#all(keys.map((key) => ["TYPE", key]));
    const hashes = keys.filter((_, index) => String(types[index]) === "hash");
    return changed + (await this.#settleHashes(hashes, this.#field, pass));
  }

  /** Hashes of any size, a page of fields at a time. In a plain listpack no field has an expiry. */
  async #settleHashes(keys: readonly Buffer[], script: ServerScript, pass: Pass): Promise<number> {
    const encodings = await this.#all(keys.map((key) => ["OBJECT", "ENCODING", key]));
    const hashes = keys.filter((_, index) => String(encodings[index]) !== "listpack");
    let changed = 0;
    for (let at = 0; at < hashes.length; at += HASHES_AT_ONCE) {
      let open = hashes.slice(at, at + HASHES_AT_ONCE).map((key) => ({ key, cursor: "0" }));
      while (open.length > 0) {
        const scans = open.map(({ key, cursor }) => ["HSCAN", key, cursor, "COUNT", PAGE_FIELDS, "NOVALUES"]);
        const pages = (await this.#timedAll(scans)).map(readScan);
        const calls = pages.flatMap(([, fields], index) => callsFor((open[index] as { key: Buffer }).key, fields));
        changed += await this.#sum(script, calls, pass);
        open = open.map(({ key }, index) => ({ key, cursor: pages[index]?.[0] ?? "0" })).filter(({ cursor }) => cursor !== "0");
      }
    }
    return changed;
  }

  /**
   * Sum of the answers of a script; a server that has forgotten it is told again, and one that came to a call too late gets it again.
   */
  async #sum(script: ServerScript, calls: readonly ScriptCall[], pass: Pass): Promise<number> {
    let sum = 0;
    let [due, isTold] = [calls, false];
    while (due.length > 0) {
      pass.standstill.check();
      if (pass.signal.aborted) return sum;
      const asked = due;
      try {
        const answers = await this.#all(
          asked.map(({ keys, fields }) => scriptCall(script, pass.rule, this.#untilMs, keys, fields)),
        );
        due = asked.filter((_, index) => Number(answers[index]) < 0);
        sum += answers.reduce((total: number, changed) => total + Math.max(0, Number(changed)), 0);
      } catch (cause) {
        if (!(cause instanceof ReplyError) || cause.code !== "NOSCRIPT" || isTold) throw cause;
        isTold = true;
        await this.#load();
      }
      if (due.length > 0) await this.#timedAll([]);
    }
    return sum;
  }

  async #timed(call: Call): Promise<Reply> {
    return (await this.#timedAll([call]))[0] as Reply;
  }

  /** As `#all`; and the changes that follow may reach the server for `STANDSTILL_MS` from here on. */
  async #timedAll(calls: readonly Call[]): Promise<Reply[]> {
    const [time, ...answers] = await this.#all([["TIME"], ...calls]);
    const [seconds, micros] = Array.isArray(time) ? time.map(Number) : [];
    this.#untilMs = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000) + STANDSTILL_MS;
    if (!Number.isSafeInteger(this.#untilMs)) throw new Error("TIME answered something else than seconds and microseconds");
    return answers;
  }

  /** The answers to a pipeline; rejects with the first error, when all have come. */
  async #all(calls: readonly Call[]): Promise<Reply[]> {
    const settled = await Promise.allSettled(calls.map(async (call) => this.#connection.call(call)));
    return settled.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
  }
}

/** A small hash comes whole, however many fields it has. */
function callsFor(key: Buffer, fields: readonly Buffer[]): ScriptCall[] {
  const calls: ScriptCall[] = [];
  for (let at = 0; at < fields.length; at += PAGE_FIELDS)
    calls.push({ keys: [key], fields: fields.slice(at, at + PAGE_FIELDS) });
  return calls;
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
