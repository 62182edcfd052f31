/**
 * The content of a server in a form that can be stored and compared: `expected*.json` of the fixtures.
 *
 * Every byte string (key, value, member, field, name, code) is base64, apart from library names; "sorted" means plain comparison
 * of that base64 text. Absolute times are in ms.
 */
export interface CanonicalContent {
  /** "redis" or "valkey". */
  readonly server: string;
  readonly version: string;
  /** Number of keys by database. */
  readonly databases: Readonly<Record<string, number>>;
  /** Sorted by name. */
  readonly functions: readonly CanonicalFunction[];
  /** Scripts stored in an RDB file of 4.0 to 6.2; no server lists them, so they are never read back. */
  readonly scripts: readonly { readonly sha1: string; readonly body: string }[];
  /** Sorted by database, then by key. */
  readonly keys: readonly CanonicalKey[];
}

export interface CanonicalFunction {
  readonly name: string;
  readonly engine: string;
  readonly code: string;
}

export type CanonicalKey = {
  readonly db: number;
  readonly key: string;
  /** Absolute expiry, or null. */
  readonly pexpireat: number | null;
} & CanonicalValue;

export type CanonicalValue =
  | { readonly type: "string"; readonly value: string }
  /** A list in order, a set sorted. */
  | { readonly type: "list" | "set"; readonly value: readonly string[] }
  /** Sorted by field. The third part, a field's own expiry (from Redis 7.4), is not read by `readCanonical`. */
  | { readonly type: "hash"; readonly value: readonly (readonly [field: string, value: string, pexpireat?: number])[] }
  /** In the server's order; the score as the server prints it to a RESP2 client. */
  | { readonly type: "zset"; readonly value: readonly (readonly [member: string, score: string])[] }
  | { readonly type: "stream"; readonly value: CanonicalStream };

export interface CanonicalStream {
  readonly entries: readonly (readonly [id: string, fieldsAndValues: readonly string[]])[];
  readonly lastId: string;
  /** Null before 7.0, as is `maxDeletedId`. */
  readonly entriesAdded: number | null;
  readonly maxDeletedId: string | null;
  /** Sorted by name. */
  readonly groups: readonly CanonicalGroup[];
}

export interface CanonicalGroup {
  readonly name: string;
  readonly lastId: string;
  /** Null before 7.0 and where the server does not know it. */
  readonly entriesRead: number | null;
  /** In the order of the ids. */
  readonly pel: readonly (readonly [id: string, consumer: string, deliveryTimeMs: number, deliveryCount: number])[];
  /** Sorted by name. */
  readonly consumers: readonly CanonicalConsumer[];
}

interface CanonicalConsumer {
  readonly name: string;
  readonly seenTime: number;
  /** Null before 7.2. */
  readonly activeTime: number | null;
  readonly pending: readonly string[];
}

/** A key's bytes as text for messages: printable ASCII as it is, the rest as \xNN. */
export function printableKey(key: Buffer): string {
  return key.toString("latin1").replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Order of base64 texts. */
export function byText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
