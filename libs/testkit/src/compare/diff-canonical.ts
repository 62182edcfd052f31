import { printableKey, type CanonicalContent, type CanonicalFunction, type CanonicalKey } from "./canonical.ts";
import { diffKey, type DiffRules, type NotCarried } from "./diff-value.ts";
import { sameExpiry } from "./expiry-rule.ts";

export interface Difference {
  /** -1 for function libraries, which belong to no database. */
  readonly db: number;
  /** Printable ASCII, other bytes as \xNN. */
  readonly key: string;
  readonly what: string;
}

export interface DiffCanonicalOptions {
  /** Default: seenTime, activeTime and entriesRead, which no stream of Redis 7.0 carries. */
  readonly ignore?: readonly NotCarried[];
  /** Default: the same expiry. */
  readonly expiryOf?: (expiryMs: number) => number;
  /**
   * Relative expiries of streams older than 7.0 count from the moment they are applied: how much later than in `expected` an
   * expiry may be. Default 0.
   */
  readonly expiryMayBeLaterByMs?: number;
}

/** Every difference between two contents; scores are compared as numbers, HyperLogLogs by their registers. */
export function diffCanonical(
  expected: CanonicalContent,
  actual: CanonicalContent,
  options: DiffCanonicalOptions = {},
): Difference[] {
  const rules: DiffRules = {
    ignore: new Set(options.ignore ?? ["seenTime", "activeTime", "entriesRead"]),
    expiryOf: options.expiryOf ?? sameExpiry,
    expiryMayBeLaterByMs: options.expiryMayBeLaterByMs ?? 0,
  };
  const found = new Map(actual.keys.map((key) => [`${key.db} ${key.key}`, key]));
  const differences: Difference[] = [];
  for (const key of expected.keys) {
    const id = `${key.db} ${key.key}`;
    const other = found.get(id);
    found.delete(id);
    const what = other === undefined ? "missing" : diffKey(key, other, rules);
    if (what !== undefined) differences.push(differenceOf(key, what));
  }
  for (const key of found.values()) differences.push(differenceOf(key, `extra (${key.type})`));
  return [...differences, ...diffFunctions(expected.functions, actual.functions)];
}

/** Differences of function libraries by name, engine and code. */
export function diffFunctions(expected: readonly CanonicalFunction[], actual: readonly CanonicalFunction[]): Difference[] {
  const found = new Map(actual.map((library) => [library.name, library]));
  const differences: Difference[] = [];
  for (const library of expected) {
    const other = found.get(library.name);
    found.delete(library.name);
    if (other === undefined) differences.push({ db: -1, key: library.name, what: "function library missing" });
    else if (other.code !== library.code || other.engine !== library.engine) {
      differences.push({ db: -1, key: library.name, what: "function library differs" });
    }
  }
  for (const name of found.keys()) differences.push({ db: -1, key: name, what: "extra function library" });
  return differences;
}

function differenceOf(key: CanonicalKey, what: string): Difference {
  return { db: key.db, key: printableKey(Buffer.from(key.key, "base64")), what };
}
