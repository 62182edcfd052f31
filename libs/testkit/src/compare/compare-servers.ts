import type { Redis } from "ioredis";
import { openClient } from "../servers/open-client.ts";
import type { Command } from "../workload/command.ts";
import { openDatabases, runPipeline } from "../workload/pipeline.ts";
import { printableKey } from "./canonical.ts";
import { diffFunctions, type Difference } from "./diff-canonical.ts";
import type { DiffRules } from "./diff-value.ts";
import { graceExpiry, sameExpiry } from "./expiry-rule.ts";
import { readFunctions } from "./read-functions.ts";
import { keyspaceCounts, scanKeys } from "./scan-keys.ts";
import { SuspectKeys } from "./suspect-keys.ts";

const PAGE_KEYS = 500;
/** RDB version and CRC64 at the end of a DUMP payload. */
const DUMP_FOOTER_BYTES = 10;

/** A server: its URL or something that has one, such as a `RedisServer`. */
export type Endpoint = string | { readonly url: string };

export interface CompareOptions {
  /** The destination carries this grace on every expiry, see `graceExpiry`. Default: expiries are equal. */
  readonly graceMs?: number;
  /** Instead of `graceMs`: the destination's expiry for one of the source; must grow with its argument. */
  readonly expiryOf?: (expiryMs: number) => number;
  /** The source's primary: it is asked for keys that have expired, which makes it delete them and replicate that. */
  readonly source?: Endpoint;
  /** How long deletions of expired keys may take to arrive; default 15 000 ms. */
  readonly settleMs?: number;
  /** Keys of either side that do not count; default `["sluice:{"]`, the marks. */
  readonly ignorePrefixes?: readonly string[];
  /** Default: every database that either side has keys in. */
  readonly databases?: readonly number[];
  /** Differences that are listed; default 100. They are all counted. */
  readonly maxDifferences?: number;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

export interface Comparison {
  readonly identical: boolean;
  /** Keys of the expected side. */
  readonly keys: number;
  readonly differenceCount: number;
  readonly differences: readonly Difference[];
  readonly perDatabase: Readonly<Record<number, { readonly expected: number; readonly actual: number }>>;
}

interface Sides {
  readonly expected: Redis;
  readonly actual: Redis;
}

/**
 * Compares all keys of two servers (Redis 7.0 or newer) in both directions, with values, expiries and function libraries. The
 * writers must be quiet and everything delivered; only expiring may go on.
 *
 * A key is accepted at once if its DUMP payloads and expiries agree. Other keys are suspects and are read again at the end, by
 * type, with the rules of `diffCanonical`, less what replication does not carry (times of consumers, entries-read, consumers
 * without pending entries).
 *
 * Expiring keys. The expected side is usually a replica of the source, kept as the oracle. A replica hides a key from the moment
 * it expires, but the key is gone only when its primary has found it and sent DEL, and a destination with grace shows it until
 * that DEL arrives:
 *
 *     source    ───e───────────────(finds it)──DEL─────────────
 *     oracle    ───e hidden ─────────────────────DEL───────────
 *     actual    ───e still there, expires at e+G ─────DEL──────
 *
 * So an actual key that the oracle lacks is no difference yet if it carries an expiry that the source has passed: it is read
 * again until both agree or `settleMs` is over. Redis finds expired keys by sampling, which can take minutes for the last of
 * them; with `source` the comparison touches these keys there (EXISTS), so that the DEL comes at once. Anything else that still
 * differs in the second reading is a difference: a key that expired between the reading of the two sides agrees by then.
 *
 * Expiries of single hash fields (7.4) are compared only through DUMP.
 */
export async function compareServers(expected: Endpoint, actual: Endpoint, options: CompareOptions = {}): Promise<Comparison> {
  const { maxDifferences = 100, settleMs = 15_000, graceMs } = options;
  const rules: DiffRules = {
    ignore: new Set(["seenTime", "activeTime", "entriesRead", "emptyConsumers"]),
    expiryOf: options.expiryOf ?? (graceMs === undefined ? sameExpiry : graceExpiry(graceMs)),
    expiryMayBeLaterByMs: 0,
  };
  const roots: Sides = { expected: openClient(urlOf(expected)), actual: openClient(urlOf(actual)) };
  const source = options.source === undefined ? undefined : openClient(urlOf(options.source));
  const differences: Difference[] = [];
  const perDatabase: Record<number, { expected: number; actual: number }> = {};
  try {
    differences.push(...diffFunctions(await readFunctions(roots.expected), await readFunctions(roots.actual)));
    const [left, right] = [await keyspaceCounts(roots.expected), await keyspaceCounts(roots.actual)];
    const databases = options.databases ?? [...new Set([...left.keys(), ...right.keys()])].toSorted((a, b) => a - b);
    const total = databases.reduce((sum, db) => sum + (left.get(db) ?? 0), 0);
    let doneBefore = 0;
    for (const db of databases) {
      const pass = await comparePass(roots, db, rules, options, (done) =>
        options.onProgress?.({ done: doneBefore + done, total }),
      );
      perDatabase[db] = { expected: pass.expected, actual: pass.actual };
      doneBefore += pass.expected;
      const sides = await openSides(roots, db);
      const links = source === undefined ? [] : await openDatabases(source, [db]);
      try {
        differences.push(...(await pass.suspects.settle({ ...sides, source: links[0] }, settleMs)));
      } finally {
        for (const link of [sides.expected, sides.actual, ...links]) link.disconnect();
      }
    }
  } finally {
    for (const client of [roots.expected, roots.actual, source]) client?.disconnect();
  }
  return {
    identical: differences.length === 0,
    keys: Object.values(perDatabase).reduce((sum, counts) => sum + counts.expected, 0),
    differenceCount: differences.length,
    differences: differences.slice(0, maxDifferences),
    perDatabase,
  };
}

interface Pass {
  readonly suspects: SuspectKeys;
  readonly expected: number;
  readonly actual: number;
}

/** Reads one database of both sides once, and tells which keys do not agree at first sight. */
async function comparePass(
  roots: Sides,
  db: number,
  rules: DiffRules,
  options: CompareOptions,
  onDone: (keys: number) => void,
): Promise<Pass> {
  const prefixes = (options.ignorePrefixes ?? ["sluice:{"]).map((prefix) => Buffer.from(prefix));
  const counts = (key: Buffer): boolean => !prefixes.some((prefix) => key.subarray(0, prefix.length).equals(prefix));
  const suspects = new SuspectKeys(db, rules);
  const seen = new Set<string>();
  const sides = await openSides(roots, db);
  const pass = { suspects, expected: 0, actual: 0 };
  try {
    for await (const page of scanKeys(sides.expected, PAGE_KEYS)) {
      const keys = page.filter(counts);
      for (const key of keys) seen.add(key.toString("latin1"));
      const [ours, theirs] = await Promise.all([glance(sides.expected, keys), glance(sides.actual, keys)]);
      for (const [index, key] of keys.entries()) {
        const [left, right] = [ours[index], theirs[index]];
        if (left !== undefined) pass.expected++;
        if (right !== undefined) pass.actual++;
        if (!agree(left, right, rules)) suspects.add(key);
      }
      onDone(pass.expected);
    }
    for await (const page of scanKeys(sides.actual, PAGE_KEYS)) {
      for (const key of page) {
        if (!counts(key) || seen.has(key.toString("latin1"))) continue;
        pass.actual++;
        suspects.add(key);
      }
    }
  } finally {
    for (const link of [sides.expected, sides.actual]) link.disconnect();
  }
  return pass;
}

interface Glance {
  readonly dump: Buffer;
  readonly expiryMs: number;
}

async function glance(client: Redis, keys: readonly Buffer[]): Promise<(Glance | undefined)[]> {
  const replies = await runPipeline(
    client,
    keys.flatMap((key): Command[] => [
      ["DUMP", key],
      ["PEXPIRETIME", key],
    ]),
  );
  return keys.map((key, index) => {
    const [dump, expiry] = replies.slice(index * 2, index * 2 + 2);
    const failure = dump instanceof Error ? dump : expiry;
    if (failure instanceof Error)
      throw new Error(`can't read key ${printableKey(key)}: ${failure.message}`, { cause: failure });
    if (!Buffer.isBuffer(dump) || expiry === -2) return undefined;
    return { dump: dump.subarray(0, -DUMP_FOOTER_BYTES), expiryMs: Number(expiry) };
  });
}

function agree(left: Glance | undefined, right: Glance | undefined, rules: DiffRules): boolean {
  if (left === undefined || right === undefined) return left === right;
  const due = left.expiryMs === -1 ? -1 : rules.expiryOf(left.expiryMs);
  return right.expiryMs === due && left.dump.equals(right.dump);
}

async function openSides(roots: Sides, db: number): Promise<Sides> {
  const [[expected], [actual]] = await Promise.all([openDatabases(roots.expected, [db]), openDatabases(roots.actual, [db])]);
  if (expected === undefined || actual === undefined) throw new Error(`database ${db} can't be opened`);
  return { expected, actual };
}

function urlOf(endpoint: Endpoint): string {
  return typeof endpoint === "string" ? endpoint : endpoint.url;
}
