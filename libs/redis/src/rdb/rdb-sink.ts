import type { RdbEntry } from "./rdb-entry.ts";

/**
 * What an RDB holds, in the order of the file. Everything is called synchronously from `RdbReader.push`; buffers and the entry are
 * valid during the call only. What has been delivered is true only once the reader is `done`: the checksum stands at the end.
 *
 * A value of at most `partBytes` comes as one `entry`. A larger one comes as `entryStart`, two or more `entryPart`s, each of
 * exactly `partBytes` but the last, and `entryEnd`, with nothing in between. This does not depend on how the input was cut.
 */
export interface RdbSink {
  /** A field about the file, such as `redis-ver` or `repl-stream-db`; both decoded. */
  aux(name: Buffer, value: Buffer): void;
  /** The database of the following entries, which also carry it. */
  selectDb(db: number): void;
  /** How many keys the database holds, and how many of them with an expiry; a hint. */
  resizeDb(keys: number, expires: number): void;
  /** A library of functions: the RDB string behind the opcode, raw. `restorePayload(RDB_FUNCTION, …)` makes it FUNCTION RESTORE's. */
  functionLibrary(raw: Buffer): void;
  /** The module of that name saved something beside the keys, which was passed over. */
  moduleAux(moduleName: string): void;
  entry(entry: Readonly<RdbEntry>): void;
  /** The entry's value range is not set. */
  entryStart(entry: Readonly<RdbEntry>): void;
  entryPart(bytes: Buffer): void;
  entryEnd(): void;
  /** The value of this key was passed over: its type is of a later version (`unknown: "skip"`). The value range is not set. */
  skipped?(entry: Readonly<RdbEntry>): void;
}
