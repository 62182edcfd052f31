import { RdbError } from "./rdb-error.ts";
import { REDIS_TYPES } from "./rdb-type.ts";
import type { RdbType } from "./rdb-type.ts";

/** Magic and version are nine bytes in every format: REDIS and four digits, VALKEY and three. */
export const HEADER_BYTES = 9;

/** A family of RDB files: the meaning of type bytes is settled by the magic, since the families number their new types alike. */
export interface RdbFormat {
  readonly magic: string;
  /** The versions this reader accepts. */
  readonly lowest: number;
  readonly highest: number;
  /** By type byte. */
  readonly types: readonly (RdbType | undefined)[];
}

const REDIS: RdbFormat = { magic: "REDIS", lowest: 1, highest: 12, types: REDIS_TYPES };

/** Known by its magic and refused: Valkey 9 and later write it to replicas that say `REPLCONF version`, others get REDIS0011. */
const VALKEY: RdbFormat = { magic: "VALKEY", lowest: Infinity, highest: -Infinity, types: [] };

const FORMATS = [REDIS, VALKEY];

/** What the first nine bytes of an RDB announce. @throws RdbError: not an RDB, or one that this reader does not read. */
export function rdbFormat(header: Buffer): { format: RdbFormat; version: number } {
  const text = header.toString("latin1", 0, HEADER_BYTES);
  const format = FORMATS.find(({ magic }) => text.startsWith(magic));
  const digits = format === undefined ? "" : text.slice(format.magic.length);
  const expected = `expected ${REDIS.magic}0001 to ${REDIS.magic}0012`;
  if (format === undefined || !/^\d+$/.test(digits)) {
    throw new RdbError(`not an RDB: it begins with ${JSON.stringify(text)}, ${expected}`, 0);
  }
  const version = Number(digits);
  if (version < format.lowest || version > format.highest) {
    throw new RdbError(`RDB version ${version} with the magic ${format.magic} is not supported: ${expected}`, 0);
  }
  return { format, version };
}
