import { bytes, layout, length, moduleFields, repeat, string, textDouble } from "./value-layout.ts";
import type { ValueLayout } from "./value-layout.ts";

export interface RdbType {
  /** For logs; the words of Redis: type, then the encoding if there are several. */
  readonly name: string;
  /** The lowest RDB version whose servers read it. */
  readonly since: number;
  /** Missing where the end of such a value can't be found. */
  readonly layout?: ValueLayout;
  /** Of a later version than this reader's; its end can be found, so it can be passed over. */
  readonly isForeign?: boolean;
}

/** Opcode of a function library; its record `245 string` is also what a FUNCTION DUMP payload consists of (Redis 7.0 functions.c). */
export const RDB_FUNCTION = 245;

const blob = layout(string);
const hashFields = repeat(string, string);
const fieldsWithTtl = repeat(length, string, string);
const streamId = bytes(16);
const millisecondTime = bytes(8);
const pending = repeat(streamId, millisecondTime, length);
const owned = repeat(streamId);

interface StreamForm {
  /** First id, highest deleted id and entries added of the stream, entries read of a group. */
  readonly counters: boolean;
  /** Active time of a consumer, behind its seen time. */
  readonly activeTime: boolean;
  /** Behind a group's consumers the pending entries that no consumer owns. */
  readonly released?: boolean;
  /** Behind the groups what is known of idempotent producers. */
  readonly producers?: boolean;
}

/** Seconds and entries to remember, producers with their messages (each an id of theirs and the entry it became), two counters. */
const idempotence = [length, length, repeat(string, repeat(string, length, length)), length, length];

function stream({ counters, activeTime, released = false, producers = false }: StreamForm): ValueLayout {
  const consumer = activeTime ? [string, millisecondTime, millisecondTime, owned] : [string, millisecondTime, owned];
  const groupHead = counters ? [string, length, length, length] : [string, length, length];
  const group = [...groupHead, pending, repeat(...consumer), ...(released ? [owned] : [])];
  const lastId = [length, length];
  const more = counters ? [length, length, length, length, length] : [];
  return layout(repeat(string, string), length, ...lastId, ...more, repeat(...group), ...(producers ? idempotence : []));
}

/** 2.6, the first server with RESTORE, reads RDB 6: nothing older can be a destination. */
const FIRST = 6;

/**
 * The value types of files with the magic REDIS, by type byte. Numbers, layouts and the version each came with: Redis rdb.h and
 * rdb.c (rdbSaveObject, rdbLoadObject) at the tags 2.6.0, 3.2.0 (RDB 7), 4.0.0 (8), 5.0.0 (9), 7.0.0 (10), 7.2.0 (11), 7.4.0 (12),
 * 8.6 (13), 8.8 (14). A file with another magic numbers its types otherwise from 22 on: VALKEY_TYPES.
 */
export const REDIS_TYPES: readonly (RdbType | undefined)[] = [
  /* 0 */ { name: "string", since: FIRST, layout: blob },
  /* 1 */ { name: "list", since: FIRST, layout: layout(repeat(string)) },
  /* 2 */ { name: "set", since: FIRST, layout: layout(repeat(string)) },
  /* 3 */ { name: "zset", since: FIRST, layout: layout(repeat(string, textDouble)) },
  /* 4 */ { name: "hash", since: FIRST, layout: layout(hashFields) },
  /* 5 */ { name: "zset with binary scores", since: 8, layout: layout(repeat(string, bytes(8))) },
  /* 6: of 4.0 release candidates; only the module itself knows where it ends */ { name: "module before 4.0", since: 8 },
  /* 7 */ { name: "module", since: 8, layout: layout(length, moduleFields) },
  /* 8 */ undefined,
  /* 9 */ { name: "hash zipmap", since: FIRST, layout: blob },
  /* 10 */ { name: "list ziplist", since: FIRST, layout: blob },
  /* 11 */ { name: "set intset", since: FIRST, layout: blob },
  /* 12 */ { name: "zset ziplist", since: FIRST, layout: blob },
  /* 13 */ { name: "hash ziplist", since: FIRST, layout: blob },
  /* 14 */ { name: "list quicklist of ziplists", since: 7, layout: layout(repeat(string)) },
  /* 15 */ { name: "stream", since: 9, layout: stream({ counters: false, activeTime: false }) },
  /* 16 */ { name: "hash listpack", since: 10, layout: blob },
  /* 17 */ { name: "zset listpack", since: 10, layout: blob },
  /* 18 */ { name: "list quicklist of listpacks", since: 10, layout: layout(repeat(length, string)) },
  /* 19 */ { name: "stream with counters", since: 10, layout: stream({ counters: true, activeTime: false }) },
  /* 20 */ { name: "set listpack", since: 11, layout: blob },
  /* 21 */ { name: "stream with active times", since: 11, layout: stream({ counters: true, activeTime: true }) },
  /* 22: of 7.4 release candidates */ { name: "hash with absolute field expiries", since: 12, layout: layout(fieldsWithTtl) },
  /* 23: of 7.4 release candidates */ { name: "hash listpack with field expiries, no minimum", since: 12, layout: blob },
  /* 24 */ { name: "hash with field expiries", since: 12, layout: layout(millisecondTime, fieldsWithTtl) },
  /* 25 */ { name: "hash listpack with field expiries", since: 12, layout: layout(millisecondTime, string) },
  /* 26 */ {
    name: "stream with idempotent producers",
    since: 13,
    layout: stream({ counters: true, activeTime: true, producers: true }),
  },
  /* 27 */ {
    name: "stream with released entries",
    since: 14,
    isForeign: true,
    layout: stream({ counters: true, activeTime: true, released: true, producers: true }),
  },
];

/** Bit of a type that is Valkey's own: Redis and Valkey gave the same bytes to different types from 22 on. */
const VALKEY_OWN = 0x80;

/** Type of Valkey's hash with field expiries. */
export const VALKEY_HASH = VALKEY_OWN | 22;

const VALKEY_OWN_TYPES: readonly (RdbType | undefined)[] = [
  /* 22 */ {
    name: "hash with field expiries of Valkey",
    since: 80,
    layout: layout(repeat(string, string, millisecondTime)),
  },
];

/** The first byte that the two numberings use differently. */
const FIRST_OWN = 22;

/** The value types of files with the magic VALKEY, by type byte (Valkey rdb.h at the tags 9.0.0, RDB 80, and 9.1.0). */
export const VALKEY_TYPES: readonly (RdbType | undefined)[] = [...REDIS_TYPES.slice(0, FIRST_OWN), ...VALKEY_OWN_TYPES];

/** What `RdbEntry.type` says for a type byte of a file or payload: the byte, with a bit set where it is a type that only Valkey has. */
export function typeOfByte(byte: number, isValkey: boolean): number {
  return isValkey && VALKEY_OWN_TYPES[byte - FIRST_OWN] !== undefined ? byte | VALKEY_OWN : byte;
}

/** The byte that stands for a type in a file or payload. */
export function byteOfType(type: number): number {
  return isValkeyOwn(type) ? type & ~VALKEY_OWN : type;
}

/** By type as in `RdbEntry.type`. */
export function rdbTypeOf(type: number): RdbType | undefined {
  return VALKEY_OWN_TYPES[type - VALKEY_OWN - FIRST_OWN] ?? REDIS_TYPES[type];
}

/** True for a type that only Valkey has. */
export function isValkeyOwn(type: number): boolean {
  return VALKEY_OWN_TYPES[type - VALKEY_OWN - FIRST_OWN] !== undefined;
}

/** Name of a type for logs; of unknown ones the number. */
export function rdbTypeName(type: number): string {
  return rdbTypeOf(type)?.name ?? `type ${type}`;
}

/**
 * The lowest RDB version whose servers can RESTORE such a value, 6 to 14, or 80 for what only Valkey has: with that version stamped,
 * a payload is refused only by servers that can't read it (verifyDumpPayload refuses a version above the server's own). See
 * REDIS_TYPES for the source; also takes RDB_FUNCTION (10). What a type holds may still be too new: a collection of 2^32 elements or
 * more, whose length takes the 64-bit form, before RDB 8.
 *
 * @throws RangeError: no known type.
 */
export function rdbVersionOfType(type: number): number {
  if (type === RDB_FUNCTION) return 10;
  const known = rdbTypeOf(type);
  if (known === undefined) throw new RangeError(`no RDB version that is known has a value type ${type}`);
  return known.since;
}
