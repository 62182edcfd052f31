import { Crc64 } from "@sluice/redis";
import { NO_EXPIRY, type Keyspace, type SimDatabase } from "./keyspace.ts";
import { RDB_VERSION, RdbText } from "./value-encoding.ts";

const AUX = 0xfa;
const RESIZE = 0xfb;
const EXPIRE_MS = 0xfc;
const SELECT = 0xfe;
const END = 0xff;

/** What an RDB says of its server. */
export interface RdbOrigin {
  readonly version: string;
  readonly nowMs: number;
  readonly replid: string;
  readonly offset: number;
  /** Database of the stream at that offset. */
  readonly db: number;
}

/** A whole RDB file as Redis 7.0 writes it for a replica, with every value in its plain encoding (rdb.c, `rdbSaveRio`). */
export function writeRdb(keyspace: Keyspace, origin: RdbOrigin): Buffer {
  const text = new RdbText().raw(`REDIS${String(RDB_VERSION).padStart(4, "0")}`);
  const aux = {
    "redis-ver": origin.version,
    "redis-bits": "64",
    ctime: String(Math.floor(origin.nowMs / 1000)),
    "used-mem": "1000000",
    "repl-stream-db": String(origin.db),
    "repl-id": origin.replid,
    "repl-offset": String(origin.offset),
    "aof-base": "0",
  };
  for (const [name, value] of Object.entries(aux)) text.byte(AUX).string(name).string(value);
  for (const database of keyspace.databases) if (database.entries.size > 0) writeDatabase(text, database);
  const body = text.byte(END).bytes();
  const footer = Buffer.alloc(8);
  new Crc64().update(body).writeTo(footer, 0);
  return Buffer.concat([body, footer]);
}

function writeDatabase(text: RdbText, { id, entries, volatile }: SimDatabase): void {
  text.byte(SELECT).length(id).byte(RESIZE).length(entries.size).length(volatile.size);
  const time = Buffer.alloc(8);
  for (const [key, { value, expireAtMs }] of entries) {
    if (expireAtMs !== NO_EXPIRY) {
      time.writeBigInt64LE(BigInt(expireAtMs));
      text.byte(EXPIRE_MS).raw(time.toString("latin1"));
    }
    text.type(value).string(key).value(value);
  }
}
