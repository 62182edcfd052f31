import { RdbError } from "./rdb-error.ts";
import { REDIS_TYPES, VALKEY_TYPES } from "./rdb-type.ts";
import type { RdbType } from "./rdb-type.ts";

/** Magic and version are nine bytes in every format: REDIS and four digits, VALKEY and three. */
export const HEADER_BYTES = 9;

/**
 * A family of RDB files: the meaning of type bytes and opcodes is settled by the magic, since the families number what is new in
 * each alike.
 */
export interface RdbFormat {
  readonly magic: string;
  readonly isValkey: boolean;
  /** The versions this reader accepts. */
  readonly lowest: number;
  readonly highest: number;
  /** By type byte. */
  readonly types: readonly (RdbType | undefined)[];
}

/** Redis 8.6 writes 13; Valkey up to 8.1 writes 11 with the same magic. */
const REDIS: RdbFormat = { magic: "REDIS", isValkey: false, lowest: 1, highest: 13, types: REDIS_TYPES };

/** Valkey 9 and later: to files and to replicas that say `REPLCONF version`; others get REDIS0011. */
const VALKEY: RdbFormat = { magic: "VALKEY", isValkey: true, lowest: 80, highest: 81, types: VALKEY_TYPES };

const FORMATS = [REDIS, VALKEY];

/** From this version on a payload of DUMP is Valkey's (Valkey rdb.h, RDB_FOREIGN_VERSION_MAX is 79). */
export const FIRST_VALKEY_VERSION = VALKEY.lowest;

/** What the first nine bytes of an RDB announce. @throws RdbError: not an RDB, or one that this reader does not read. */
export function rdbFormat(header: Buffer): { format: RdbFormat; version: number } {
  const text = header.toString("latin1", 0, HEADER_BYTES);
  const format = FORMATS.find(({ magic }) => text.startsWith(magic));
  const digits = format === undefined ? "" : text.slice(format.magic.length);
  const expected = "expected REDIS0001 to REDIS0013 or VALKEY080 to VALKEY081";
  if (format === undefined || !/^\d+$/.test(digits)) {
    throw new RdbError(`not an RDB: it begins with ${JSON.stringify(text)}, ${expected}`, 0);
  }
  const version = Number(digits);
  if (version < format.lowest || version > format.highest) {
    throw new RdbError(`RDB version ${version} with the magic ${format.magic} is not supported: ${expected}`, 0);
  }
  return { format, version };
}
