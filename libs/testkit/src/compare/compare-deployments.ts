import type { Redis } from "ioredis";
import type { Command } from "../workload/command.ts";
import { runPipeline } from "../workload/pipeline.ts";
import { printableKey } from "./canonical.ts";
import { diffFunctions, type Difference } from "./diff-canonical.ts";
import { DeploymentSide, type Deployment, type SideDatabase } from "./deployment-side.ts";
import type { DiffRules } from "./diff-value.ts";
import { graceExpiry, sameExpiry } from "./expiry-rule.ts";
import { SuspectKeys, type SuspectLinks } from "./suspect-keys.ts";

const PAGE_KEYS = 500;
/** RDB version and CRC64 at the end of a DUMP payload. */
const DUMP_FOOTER_BYTES = 10;

export interface CompareOptions {
  /** The destination carries this grace on every expiry, see `graceExpiry`. Default: expiries are equal. */
  readonly graceMs?: number;
  /** Instead of `graceMs`: the destination's expiry for one of the source; must grow with its argument. */
  readonly expiryOf?: (expiryMs: number) => number;
  /**
   * Slots of the actual side were migrated meanwhile: MIGRATE sends the time that is left, so that every expiry it moves is later
   * by as long as that took. Default 0.
   */
  readonly expiryMayBeLaterByMs?: number;
  /** The source's primary or cluster: it is asked for keys that have expired, which makes it delete them and replicate that. */
  readonly source?: Deployment;
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
  readonly expected: DeploymentSide;
  readonly actual: DeploymentSide;
  readonly source: DeploymentSide | undefined;
}

/**
 * Compares all keys of two deployments (Redis 7.0 or newer) in both directions, with values, expiries and function libraries. The
 * writers must be quiet and everything delivered, and no slot under way; only expiring may go on. A key on two nodes of a side,
 * or on a node that does not own its slot, is a difference. Every node of the actual side must have the function libraries of
 * the expected side.
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
export async function compareDeployments(
  expected: Deployment,
  actual: Deployment,
  options: CompareOptions = {},
): Promise<Comparison> {
  const { maxDifferences = 100, settleMs = 15_000, graceMs } = options;
  const rules: DiffRules = {
    ignore: new Set(["seenTime", "activeTime", "entriesRead", "emptyConsumers"]),
    expiryOf: options.expiryOf ?? (graceMs === undefined ? sameExpiry : graceExpiry(graceMs)),
    expiryMayBeLaterByMs: options.expiryMayBeLaterByMs ?? 0,
  };
  const opened: { close(): void }[] = [];
  const open = async (deployment: Deployment): Promise<DeploymentSide> => {
    const side = await DeploymentSide.open(deployment);
    opened.push(side);
    return side;
  };
  const differences: Difference[] = [];
  const perDatabase: Record<number, { expected: number; actual: number }> = {};
  try {
    const sides: Sides = {
      expected: await open(expected),
      actual: await open(actual),
      source: options.source === undefined ? undefined : await open(options.source),
    };
    differences.push(...(await compareFunctions(sides)));
    const [left, right] = [await sides.expected.counts(), await sides.actual.counts()];
    const databases = options.databases ?? [...new Set([...left.keys(), ...right.keys()])].toSorted((a, b) => a - b);
    const total = databases.reduce((sum, db) => sum + (left.get(db) ?? 0), 0);
    let doneBefore = 0;
    for (const db of databases) {
      const links: SuspectLinks = {
        expected: await sides.expected.database(db),
        actual: await sides.actual.database(db),
        source: await sides.source?.database(db),
      };
      opened.push(...[links.expected, links.actual, links.source].filter((link) => link !== undefined));
      const suspects = new SuspectKeys(db, rules);
      const onDone = (done: number): void => options.onProgress?.({ done: doneBefore + done, total });
      const pass = await comparePass(links, suspects, rules, options, onDone);
      perDatabase[db] = { expected: pass.expected, actual: pass.actual };
      doneBefore += pass.expected;
      for (const { key, what } of pass.strays) differences.push({ db, key: printableKey(key), what });
      differences.push(...(await suspects.settle(links, settleMs)));
    }
  } finally {
    for (const closable of opened) closable.close();
  }
  return {
    identical: differences.length === 0,
    keys: Object.values(perDatabase).reduce((sum, counts) => sum + counts.expected, 0),
    differenceCount: differences.length,
    differences: differences.slice(0, maxDifferences),
    perDatabase,
  };
}

/** Each node of the actual side against the libraries of all expected nodes together; a difference is told once. */
async function compareFunctions({ expected, actual }: Sides): Promise<Difference[]> {
  const due = new Map((await expected.libraries()).flat().map((library) => [library.name, library]));
  const found = (await actual.libraries()).flatMap((libraries) => diffFunctions([...due.values()], libraries));
  return [...new Map(found.map((difference) => [`${difference.key} ${difference.what}`, difference])).values()];
}

interface Pass {
  readonly expected: number;
  readonly actual: number;
  readonly strays: SideDatabase["strays"];
}

/** Reads one database of both sides once, and adds the keys to `suspects` that do not agree at first sight. */
async function comparePass(
  links: SuspectLinks,
  suspects: SuspectKeys,
  rules: DiffRules,
  options: CompareOptions,
  onDone: (keys: number) => void,
): Promise<Pass> {
  const prefixes = (options.ignorePrefixes ?? ["sluice:{"]).map((prefix) => Buffer.from(prefix));
  const counts = (key: Buffer): boolean => !prefixes.some((prefix) => key.subarray(0, prefix.length).equals(prefix));
  const seen = new Set<string>();
  const pass = { expected: 0, actual: 0 };
  for await (const page of links.expected.scan(PAGE_KEYS)) {
    const keys = page.filter(counts);
    for (const key of keys) seen.add(key.toString("latin1"));
    const [ours, theirs] = await Promise.all([links.expected.read(keys, glance), links.actual.read(keys, glance)]);
    for (const [index, key] of keys.entries()) {
      const [left, right] = [ours[index], theirs[index]];
      if (left !== undefined) pass.expected++;
      if (right !== undefined) pass.actual++;
      if (!agree(left, right, rules)) suspects.add(key);
    }
    onDone(pass.expected);
  }
  for await (const page of links.actual.scan(PAGE_KEYS)) {
    for (const key of page) {
      if (!counts(key) || seen.has(key.toString("latin1"))) continue;
      pass.actual++;
      suspects.add(key);
    }
  }
  const strays = [...links.expected.strays, ...links.actual.strays].filter(({ key }) => counts(key));
  return { ...pass, strays };
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
