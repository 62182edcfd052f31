import type { Connection, Reply } from "@sluice/redis";
import type { Clock } from "@sluice/runtime";
import type { ServerProbe } from "../precheck/probe/server-probe.ts";
import { replyText } from "../precheck/probe/server-probe.ts";
import type { SourceProbe } from "../precheck/probe/source-probe.ts";
import type { SampledDatabase } from "./group-preview.ts";

export interface KeySample {
  readonly databases: readonly SampledDatabase[];
  readonly servers: number;
  /** Every key of what is copied was looked at. */
  readonly isWhole: boolean;
  /** The time, or the memory, was used up. */
  readonly isCutShort: boolean;
}

export interface SampleOptions {
  /** Keys in all, about. */
  readonly wanted: number;
  /** Databases that are looked into; the others are only counted. */
  readonly isCopied: (db: number) => boolean;
  readonly clock: Clock;
  /** A whole number below the given one. */
  readonly random: (below: number) => number;
}

/** How long all of it may take: what has been seen by then is the sample. */
const SAMPLE_MS = 10_000;
/** Servers that are asked side by side. */
const SERVERS_AT_ONCE = 16;
/** Every database on every server shows a few keys, however small its share is. */
const LEAST_KEYS = 10;
/** Buckets that one SCAN goes through: few, so that a sample comes from many places. */
const SCAN_COUNT = 10;
/** Where so many times as many SCANs as could be needed bring too few keys, the rest of the keyspace is nearly empty. */
const PATIENCE = 8;
/** Of names that are held at a time. */
const MOST_BYTES = 64 * 2 ** 20;
/** SCAN's cursor is an unsigned long of which the low bits count, in reverse; any number is one. */
const CURSORS = 2 ** 47;

/** What is left for all that look. */
interface Bounds {
  readonly until: number;
  bytes: number;
  isCutShort: boolean;
}

interface Place {
  readonly server: ServerProbe;
  readonly db: number;
  readonly keys: number;
}

/**
 * Names of keys from every primary and every database that is copied, in proportion to what each holds. Asks INFO and SCAN, and SELECT
 * on connections of its own; changes nothing. A database of which no more keys are wanted than it holds is gone through whole; any other
 * from random places, a few buckets at each. Throws `ServerFailure` and `ReplyError` where a server can't be asked.
 */
export async function sampleKeys(source: SourceProbe, options: SampleOptions): Promise<KeySample> {
  const { wanted, isCopied, clock } = options;
  const servers = await source.primaries();
  const found = await Promise.all(
    servers.map(async (server): Promise<Place[]> =>
      [...(await server.state()).keyspace].map(([db, keys]) => ({ server, db, keys })),
    ),
  );
  const places = found.flat();
  const total = places.filter(({ db }) => isCopied(db)).reduce((sum, { keys }) => sum + keys, 0);
  const bounds: Bounds = { until: clock.monotonicMs() + SAMPLE_MS, bytes: MOST_BYTES, isCutShort: false };
  const databases: (SampledDatabase & { readonly isWhole: boolean })[] = [];
  for (let at = 0; at < servers.length; at += SERVERS_AT_ONCE) {
    const own = servers.slice(at, at + SERVERS_AT_ONCE).map(async (server) =>
      server.alone(async (connection) => {
        for (const { db, keys } of places.filter((place) => place.server === server)) {
          if (!isCopied(db)) {
            databases.push({ db, keys, sample: [], isWhole: true });
            continue;
          }
          const share = Math.max(LEAST_KEYS, Math.ceil((wanted * keys) / Math.max(1, total)));
          if (db !== 0 || places.some((place) => place.server === server && place.db !== 0))
            await connection.call(["SELECT", String(db)]);
          const isWhole = share >= keys;
          const sample = isWhole
            ? await allOf(connection, share * 2, bounds, options)
            : await someOf(connection, share, bounds, options);
          databases.push({ db, keys, sample, isWhole });
        }
      }),
    );
    await Promise.all(own);
  }
  const isWhole = databases.every((one) => one.isWhole) && !bounds.isCutShort;
  return { databases, servers: servers.length, isWhole, isCutShort: bounds.isCutShort };
}

/** The database from its begin to its end. It may have grown: no more than `most`. */
async function allOf(connection: Connection, most: number, bounds: Bounds, { clock }: SampleOptions): Promise<Buffer[]> {
  const seen = new Map<string, Buffer>();
  let cursor = "0";
  do {
    const { next, keys } = scanned(await connection.call(["SCAN", cursor, "COUNT", "500"]));
    cursor = next;
    take(seen, keys, most, bounds);
    if (isOver(bounds, clock)) break;
  } while (cursor !== "0" && seen.size < most);
  return [...seen.values()];
}

/** So many keys from random places. */
async function someOf(connection: Connection, most: number, bounds: Bounds, options: SampleOptions): Promise<Buffer[]> {
  const seen = new Map<string, Buffer>();
  const tries = PATIENCE * Math.ceil(most / SCAN_COUNT) + PATIENCE;
  for (let tried = 0; tried < tries && seen.size < most; tried++) {
    const cursor = String(options.random(CURSORS));
    const { keys } = scanned(await connection.call(["SCAN", cursor, "COUNT", String(SCAN_COUNT)]));
    take(seen, keys, most, bounds);
    if (isOver(bounds, options.clock)) break;
  }
  return [...seen.values()];
}

/** SCAN may name a key twice. */
function take(seen: Map<string, Buffer>, keys: readonly Buffer[], most: number, bounds: Bounds): void {
  for (const key of keys) {
    if (seen.size >= most) return;
    const name = key.toString("latin1");
    if (seen.has(name)) continue;
    seen.set(name, Buffer.from(key));
    bounds.bytes -= key.length;
  }
}

function isOver(bounds: Bounds, clock: Clock): boolean {
  if (bounds.bytes > 0 && clock.monotonicMs() < bounds.until) return false;
  bounds.isCutShort = true;
  return true;
}

function scanned(reply: Reply): { readonly next: string; readonly keys: Buffer[] } {
  const [next, keys] = Array.isArray(reply) ? reply : [];
  if (next === undefined || !Array.isArray(keys)) throw new Error("expected a cursor and keys in an answer of SCAN");
  return { next: replyText(next), keys: keys.filter((key): key is Buffer => Buffer.isBuffer(key)) };
}
