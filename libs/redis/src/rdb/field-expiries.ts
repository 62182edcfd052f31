import { readDumpPayload, restorePayload } from "./dump-payload.ts";
import { listpackElements } from "./listpack.ts";
import { RdbCursor } from "./rdb-cursor.ts";
import { RdbError } from "./rdb-error.ts";
import { readString } from "./rdb-string.ts";
import { VALKEY_HASH } from "./rdb-type.ts";

/** A hash whose fields expire one by one, taken apart. */
export interface FieldExpiries {
  /** The hash without expiries, as a raw value of `PLAIN_HASH`. */
  readonly plain: Buffer[];
  /** Fields by their expiry (absolute, in ms), in the order in which each expiry first occurs. */
  readonly fieldsAt: ReadonlyMap<number, readonly Buffer[]>;
}

/** Type of a hash as fields and values, which every server reads. */
export const PLAIN_HASH = 4;

/** Numbers of REDIS_TYPES. `…PreGa`: of the 7.4 release candidates (Redis rdb.h, RDB_TYPE_HASH_*_PRE_GA). */
const TYPE = { tablePreGa: 22, listpackPreGa: 23, table: 24, listpack: 25 } as const;
const MINIMUM_BYTES = 8;
const EXPIRY_BYTES = 8;

/** True for the types that `readFieldExpiries` reads. */
export function hasFieldExpiries(type: number): boolean {
  return (type >= TYPE.tablePreGa && type <= TYPE.listpack) || type === VALKEY_HASH;
}

/**
 * Takes the value of a hash with field expiries apart (Redis rdb.c, rdbLoadObject at 7.4.0):
 *
 * · `table      = minimum(8) count (ttl field value)*`: a ttl of 0 is none, else the expiry is minimum + ttl − 1
 * · `listpack   = minimum(8) string`: the string is a listpack of field, value, expiry; an expiry of 0 is none
 * · before 7.4.0 neither had the minimum, and a table's ttl was the expiry itself
 * · of Valkey (rdb.c at 9.0.0) `count (field value expiry(8))*`: an expiry below 0 is none
 *
 * @throws RdbError with an offset in `value`: it is cut off or malformed.
 */
export function readFieldExpiries(type: number, value: Buffer): FieldExpiries {
  if (type === TYPE.table || type === TYPE.tablePreGa) return ofTable(value, type === TYPE.table);
  if (type === TYPE.listpack || type === TYPE.listpackPreGa)
    return ofListpack(value, type === TYPE.listpack ? MINIMUM_BYTES : 0);
  if (type === VALKEY_HASH) return ofValkey(value);
  throw new RangeError(`type ${type} has no expiries of fields`);
}

function ofValkey(value: Buffer): FieldExpiries {
  const cursor = new RdbCursor(value);
  const count = lengthAt(cursor);
  const plain = [lengthBytes(count)];
  const fieldsAt = new Map<number, Buffer[]>();
  for (let index = 0; index < count; index++) {
    const from = cursor.pos;
    const field = readString(cursor);
    const isWhole = field !== undefined && readString(cursor) !== undefined && cursor.has(EXPIRY_BYTES);
    if (!isWhole) throw new RdbError("the hash is cut off", value.length);
    plain.push(value.subarray(from, cursor.pos));
    const expireAtMs = Number(value.readBigInt64LE(cursor.pos));
    cursor.pos += EXPIRY_BYTES;
    if (expireAtMs >= 0) note(fieldsAt, expireAtMs, field);
  }
  if (cursor.pos !== value.length) throw new RdbError("the hash goes on behind its last field", cursor.pos);
  return { plain, fieldsAt };
}

function ofTable(value: Buffer, hasMinimum: boolean): FieldExpiries {
  if (hasMinimum && value.length < MINIMUM_BYTES) throw new RdbError("the hash is cut off", value.length);
  const minimumMs = hasMinimum ? Number(value.readBigUInt64LE(0)) : 0;
  const cursor = new RdbCursor(value, hasMinimum ? MINIMUM_BYTES : 0);
  const count = lengthAt(cursor);
  const plain = [lengthBytes(count)];
  const fieldsAt = new Map<number, Buffer[]>();
  for (let index = 0; index < count; index++) {
    const ttl = lengthAt(cursor);
    const from = cursor.pos;
    const field = readString(cursor);
    const isWhole = field !== undefined && readString(cursor) !== undefined;
    if (!isWhole) throw new RdbError("the hash is cut off", value.length);
    plain.push(value.subarray(from, cursor.pos));
    if (ttl > 0) note(fieldsAt, hasMinimum ? minimumMs + ttl - 1 : ttl, field);
  }
  if (cursor.pos !== value.length) throw new RdbError("the hash goes on behind its last field", cursor.pos);
  return { plain, fieldsAt };
}

function ofListpack(value: Buffer, minimumBytes: number): FieldExpiries {
  const cursor = new RdbCursor(value, minimumBytes);
  const listpack = readString(cursor);
  if (listpack === undefined) throw new RdbError("the hash is cut off", value.length);
  if (cursor.pos !== value.length) throw new RdbError("the hash goes on behind its listpack", cursor.pos);
  const elements = listpackElements(listpack);
  if (elements.length % 3 !== 0)
    throw new RdbError(`${elements.length} elements are no fields, values and expiries`, minimumBytes);
  const plain = [lengthBytes(elements.length / 3)];
  const fieldsAt = new Map<number, Buffer[]>();
  for (let index = 0; index < elements.length; index += 3) {
    const [field, held, expiry] = elements.slice(index, index + 3) as [Buffer, Buffer, Buffer];
    plain.push(lengthBytes(field.length), field, lengthBytes(held.length), held);
    const expireAtMs = Number(expiry.toString("latin1"));
    if (!Number.isSafeInteger(expireAtMs) || expireAtMs < 0)
      throw new RdbError("an expiry of a field is no time", minimumBytes);
    if (expireAtMs > 0) note(fieldsAt, expireAtMs, field);
  }
  return { plain, fieldsAt };
}

function note(fieldsAt: Map<number, Buffer[]>, expireAtMs: number, field: Buffer): void {
  const fields = fieldsAt.get(expireAtMs);
  if (fields === undefined) fieldsAt.set(expireAtMs, [field]);
  else fields.push(field);
}

function lengthAt(cursor: RdbCursor): number {
  const length = cursor.length();
  if (length < 0) throw new RdbError("the hash is cut off", cursor.end);
  return length;
}

/** A length as an RDB writes it (Redis rdb.c, rdbSaveLen); also what stands in front of a plain string. */
function lengthBytes(length: number): Buffer {
  if (length < 0x40) return Buffer.of(length);
  if (length < 0x4000) return Buffer.of(0x40 | (length >>> 8), length & 0xff);
  const bytes = Buffer.alloc(length <= 0xffffffff ? 5 : 9);
  bytes[0] = length <= 0xffffffff ? 0x80 : 0x81;
  if (length <= 0xffffffff) bytes.writeUInt32BE(length, 1);
  else bytes.writeBigUInt64BE(BigInt(length), 1);
  return bytes;
}

/**
 * A payload of RESTORE with every expiry of a field replaced by `shift` of it; null when no field of it expires, or it is no payload
 * that can be taken apart: whoever gets it refuses it, too. The hash comes as a table, in which form servers take any.
 */
export function shiftedFieldExpiries(payload: Buffer, shift: (ms: number) => number): Buffer | null {
  if (!hasFieldExpiries(payload[0] ?? 0)) return null;
  try {
    const { type, value } = readDumpPayload(payload);
    const { plain, fieldsAt } = readFieldExpiries(type, value);
    if (fieldsAt.size === 0) return null;
    const form = type === VALKEY_HASH ? VALKEY_HASH : TYPE.table;
    return Buffer.concat(restorePayload(form, tableOf(form, Buffer.concat(plain), fieldsAt, shift)));
  } catch (cause) {
    if (cause instanceof RdbError) return null;
    throw cause;
  }
}

function tableOf(form: number, plain: Buffer, fieldsAt: FieldExpiries["fieldsAt"], shift: (ms: number) => number): Buffer {
  const shifted = new Map<string, number>();
  for (const [at, fields] of fieldsAt)
    for (const field of fields) shifted.set(field.toString("latin1"), Math.max(1, shift(at)));
  let minimumMs = Infinity;
  for (const atMs of shifted.values()) minimumMs = Math.min(minimumMs, atMs);
  const cursor = new RdbCursor(plain);
  const count = lengthAt(cursor);
  const parts = form === VALKEY_HASH ? [] : [int64(minimumMs)];
  parts.push(lengthBytes(count));
  for (let index = 0; index < count; index++) {
    const from = cursor.pos;
    const at = shifted.get((readString(cursor) as Buffer).toString("latin1"));
    readString(cursor);
    const pair = plain.subarray(from, cursor.pos);
    if (form === VALKEY_HASH) parts.push(pair, int64(at ?? -1));
    else parts.push(lengthBytes(at === undefined ? 0 : at - minimumMs + 1), pair);
  }
  return Buffer.concat(parts);
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(EXPIRY_BYTES);
  bytes.writeBigInt64LE(BigInt(value), 0);
  return bytes;
}
