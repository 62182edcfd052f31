import { RdbReader } from "../rdb/rdb-reader.ts";
import type { RdbReaderOptions } from "../rdb/rdb-reader.ts";

/** A key of an RDB with its raw value in the pieces it came in. */
export interface RdbKey {
  readonly db: number;
  readonly key: Buffer;
  readonly type: number;
  readonly expireAtMs: number;
  readonly value: Buffer[];
}

const nothing = (): void => undefined;

/** All keys of an RDB; their values in pieces of `partBytes` where they are longer. */
export function rdbKeys(rdb: Buffer, options: RdbReaderOptions = {}): RdbKey[] {
  const keys: RdbKey[] = [];
  const reader = new RdbReader(
    {
      aux: nothing,
      selectDb: nothing,
      resizeDb: nothing,
      functionLibrary: nothing,
      moduleAux: nothing,
      entry: ({ db, key, type, expireAtMs, value }) =>
        keys.push({ db, key: Buffer.from(key), type, expireAtMs, value: [Buffer.from(value)] }),
      entryStart: ({ db, key, type, expireAtMs }) => keys.push({ db, key: Buffer.from(key), type, expireAtMs, value: [] }),
      entryPart: (bytes) => keys.at(-1)?.value.push(Buffer.from(bytes)),
      entryEnd: nothing,
    },
    options,
  );
  reader.push(rdb);
  reader.finish();
  return keys;
}
