import { Listpack } from "../rdb/listpack.ts";
import { RdbError } from "../rdb/rdb-error.ts";
import { knownScore, scoreOfText } from "./score.ts";
import type { ValueBytes, Waiting } from "./value-bytes.ts";
import type { ValueElement, ValueElements } from "./value-element.ts";
import { Ziplist } from "./ziplist.ts";

/** How a quicklist's node is held (Redis quicklist.h, QUICKLIST_NODE_CONTAINER_*). */
const CONTAINER = { plain: 1, packed: 2 } as const;

/** A form that keeps many elements in one string, walked one by one. */
interface Compact {
  next(): Buffer | undefined;
}

export type Packing = new (bytes: Buffer, base: number) => Compact;

/** `n × string`: a list or set. */
export function* itemElements(bytes: ValueBytes): ValueElements {
  for (let left = yield* bytes.length(); left > 0; left--) {
    yield item(bytes.readyString() ?? (yield* bytes.string()));
  }
}

/** A list or set as one compact string. */
export function* packedItems(bytes: ValueBytes, packing: Packing): ValueElements {
  const { compact } = yield* opened(bytes, packing);
  for (let next = compact.next(); next !== undefined; next = compact.next()) yield item(next);
}

/** `n × ziplist`. */
export function* quicklistElements(bytes: ValueBytes): ValueElements {
  for (let left = yield* bytes.length(); left > 0; left--) yield* packedItems(bytes, Ziplist);
}

/** `n × ( container, listpack or plain element )`. */
export function* quicklist2Elements(bytes: ValueBytes): ValueElements {
  for (let left = yield* bytes.length(); left > 0; left--) {
    const start = bytes.cursor.offset;
    const container = yield* bytes.length();
    if (container === CONTAINER.packed) yield* packedItems(bytes, Listpack);
    else if (container === CONTAINER.plain) yield item(yield* bytes.string());
    else throw new RdbError(`a list has no nodes of kind ${container}`, start);
  }
}

/** `n × ( string, text )`: scores as text. */
export function* textZsetElements(bytes: ValueBytes): ValueElements {
  for (let left = yield* bytes.length(); left > 0; left--) {
    const member = bytes.readyString() ?? (yield* bytes.string());
    yield { kind: "scored", member, score: yield* textScore(bytes) };
  }
}

/** `n × ( string, double )`. */
export function* zsetElements(bytes: ValueBytes): ValueElements {
  for (let left = yield* bytes.length(); left > 0; left--) {
    const member = bytes.readyString() ?? (yield* bytes.string());
    const { offset } = bytes.cursor;
    yield { kind: "scored", member, score: knownScore((yield* bytes.exactly(8)).readDoubleLE(0), offset) };
  }
}

/** A sorted set as one compact string: member and score by turns. */
export function* packedZset(bytes: ValueBytes, packing: Packing): ValueElements {
  const { compact, base } = yield* opened(bytes, packing);
  for (let member = compact.next(); member !== undefined; member = compact.next()) {
    yield { kind: "scored", member, score: scoreOfText(following(compact, base, "a score"), base) };
  }
}

/** `n × ( string, string )`. */
export function* hashElements(bytes: ValueBytes): ValueElements {
  for (let left = yield* bytes.length(); left > 0; left--) {
    const field = bytes.readyString() ?? (yield* bytes.string());
    yield hashField(field, bytes.readyString() ?? (yield* bytes.string()), -1);
  }
}

/** A hash as one compact string: field and value by turns. */
export function* packedHash(bytes: ValueBytes, packing: Packing): ValueElements {
  const { compact, base } = yield* opened(bytes, packing);
  for (let field = compact.next(); field !== undefined; field = compact.next()) {
    yield hashField(field, following(compact, base, "a value"), -1);
  }
}

/** `[ minimum ], n × ( ttl, field, value )`: a ttl of 0 is none, else the expiry is minimum + ttl - 1, or the ttl itself. */
export function* expiringHash(bytes: ValueBytes, hasMinimum: boolean): ValueElements {
  const before = hasMinimum ? Number((yield* bytes.exactly(8)).readBigUInt64LE(0)) - 1 : 0;
  for (let left = yield* bytes.length(); left > 0; left--) {
    const { offset } = bytes.cursor;
    const ttl = yield* bytes.length();
    const field = bytes.readyString() ?? (yield* bytes.string());
    const value = bytes.readyString() ?? (yield* bytes.string());
    yield hashField(field, value, ttl === 0 ? -1 : timeOf(before + ttl, offset));
  }
}

/** `[ minimum ], listpack` of field, value and expiry by turns; 0 is none. */
export function* expiringListpack(bytes: ValueBytes, hasMinimum: boolean): ValueElements {
  if (hasMinimum) yield* bytes.exactly(8);
  const base = bytes.cursor.offset;
  const listpack = new Listpack(yield* bytes.string(), base);
  for (let field = listpack.next(); field !== undefined; field = listpack.next()) {
    const value = listpack.expect("a value");
    const expireAtMs = timeOf(Number(listpack.integer("an expiry")), base);
    yield hashField(field, value, expireAtMs === 0 ? -1 : expireAtMs);
  }
}

/** `n × ( field, value, expiry )` of Valkey: below 0 is none. */
export function* valkeyHash(bytes: ValueBytes): ValueElements {
  for (let left = yield* bytes.length(); left > 0; left--) {
    const field = bytes.readyString() ?? (yield* bytes.string());
    const value = bytes.readyString() ?? (yield* bytes.string());
    const { offset } = bytes.cursor;
    const expireAtMs = Number((yield* bytes.exactly(8)).readBigInt64LE(0));
    yield hashField(field, value, expireAtMs < 0 ? -1 : timeOf(expireAtMs, offset));
  }
}

function* opened(bytes: ValueBytes, packing: Packing): Waiting<{ compact: Compact; base: number }> {
  const base = bytes.cursor.offset;
  return { compact: new packing(yield* bytes.string(), base), base };
}

function following(compact: Compact, base: number, what: string): Buffer {
  const next = compact.next();
  if (next === undefined) throw new RdbError(`the value ends where ${what} is expected`, base);
  return next;
}

/** A byte n, then n bytes of text; 253, 254 and 255: not a number, infinities. */
function* textScore(bytes: ValueBytes): Waiting<number> {
  const { offset } = bytes.cursor;
  const count = (yield* bytes.exactly(1))[0]!;
  if (count === 253) return knownScore(NaN, offset);
  if (count > 253) return count === 254 ? Infinity : -Infinity;
  return scoreOfText(yield* bytes.exactly(count), offset);
}

function timeOf(ms: number, offset: number): number {
  if (!Number.isSafeInteger(ms) || ms < 0) throw new RdbError("an expiry of a field is no time", offset);
  return ms;
}

function item(bytes: Buffer): ValueElement {
  return { kind: "item", item: bytes };
}

function hashField(field: Buffer, value: Buffer, expireAtMs: number): ValueElement {
  return { kind: "field", field, value, expireAtMs };
}
