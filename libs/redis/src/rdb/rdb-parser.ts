import { ENCODING, INCOMPLETE, RdbCursor } from "./rdb-cursor.ts";
import { RdbEntry } from "./rdb-entry.ts";
import { RdbError } from "./rdb-error.ts";
import { HEADER_BYTES, rdbFormat } from "./rdb-format.ts";
import { moduleName } from "./module-name.ts";
import { readString } from "./rdb-string.ts";
import { RDB_FUNCTION, rdbTypeName } from "./rdb-type.ts";
import type { RdbSink } from "./rdb-sink.ts";
import type { RdbType } from "./rdb-type.ts";
import { ValueExtent } from "./value-extent.ts";
import { layout, moduleFields } from "./value-layout.ts";

/*
 * The grammar of an RDB file ("n+": since RDB version n; Redis rdb.c, rdbLoadRio and rdbSaveRio). Numbers are little endian,
 * except the ones inside a length.
 *
 *   rdb        = "REDIS" digit digit digit digit, { record }, end ;
 *   end        = 0xFF, [ crc64 ] ;                           (* crc64 of all bytes before it: 5+; zero: not computed *)
 *   record     = 0xFE, length                                (* SELECTDB *)
 *              | 0xFB, length, length                        (* RESIZEDB: keys, keys with expiry; 7+ *)
 *              | 0xFA, string, string                        (* AUX: name, value; 7+ *)
 *              | 0xF7, moduleid, modulefields                (* MODULE_AUX; 9+ *)
 *              | 0xF6                                        (* functions of 7.0 release candidates: refused *)
 *              | 0xF5, string                                (* FUNCTION2: a library; 10+ *)
 *              | 0xF4, length, length, length                (* SLOT_INFO: slot, keys, keys with expiry; 12+ *)
 *              | { attribute }, type, string, value ;        (* the string is the key *)
 *   attribute  = 0xFD, int32                                 (* EXPIRETIME: seconds; servers write it before 3 only *)
 *              | 0xFC, int64                                 (* EXPIRETIME_MS; 3+ *)
 *              | 0xF8, length                                (* IDLE: seconds; 9+ *)
 *              | 0xF9, byte ;                                (* FREQ; 9+ *)
 *   type       = byte ;                                      (* below 0xF1; which, and since when: REDIS_TYPES *)
 *   length     = 00nnnnnn | 01nnnnnn byte | 0x80 4 bytes | 0x81 8 bytes ;   (* big endian; the last: 8+ *)
 *   string     = length, bytes
 *              | 0xC0 int8 | 0xC1 int16 | 0xC2 int32         (* a decimal number *)
 *              | 0xC3, length, length, bytes ;               (* LZF: packed size, plain size *)
 *
 *   value      = string                                      (* 0, 9 to 13; 16, 17: 10+; 20: 11+; 23: 12+ *)
 *              | n × string                                  (* 1, 2; 14: 7+.  "n ×": a length n, then n of them *)
 *              | n × ( string, string )                      (* 4 *)
 *              | n × ( string, textdouble )                  (* 3 *)
 *              | n × ( string, double )                      (* 5: 8+ *)
 *              | n × ( length, string )                      (* 18: container, node; 10+ *)
 *              | moduleid, modulefields                      (* 7: 8+ *)
 *              | stream                                      (* 15: 9+; 19: 10+, adds what is marked *; 21: 11+, and ** *)
 *              | n × ( length, string, string )              (* 22: expiry, field, value; 12+ *)
 *              | int64, n × ( length, string, string )       (* 24: lowest expiry, then as distances from it; 12+ *)
 *              | int64, string ;                             (* 25: lowest expiry, listpack; 12+ *)
 *   textdouble = 0xFD | 0xFE | 0xFF | byte, text ;           (* nan, inf, -inf, or that many bytes of text *)
 *   moduleid   = length ;
 *   modulefields = { 1 length | 2 length | 3 float | 4 double | 5 string }, 0 ;        (* the codes are lengths, too *)
 *   stream     = n × ( string, string ),                     (* first id, listpack *)
 *                length, id, [ id, id, length ]*,            (* entries, last id; first id, highest deleted id, entries added *)
 *                n × group ;
 *   group      = string, id, [ length ]*, n × ( rawid, int64, length ), n × consumer ;   (* entries read; pending entries *)
 *   consumer   = string, int64, [ int64 ]**, n × rawid ;     (* seen time, active time; its pending ids *)
 *   id         = length, length ;    rawid = 16 bytes ;
 */
const OPCODE = {
  slotInfo: 0xf4,
  functionLibrary: RDB_FUNCTION,
  functionBeforeRelease: 0xf6,
  moduleAux: 0xf7,
  idle: 0xf8,
  freq: 0xf9,
  aux: 0xfa,
  resizeDb: 0xfb,
  expireMs: 0xfc,
  expireSeconds: 0xfd,
  selectDb: 0xfe,
  end: 0xff,
} as const;

/** Bytes from here on are opcodes, known or not (later servers use 0xF1 to 0xF3). */
const FIRST_OPCODE = 0xf1;

const CHECKSUM_SINCE = 5;
const MAX_DB = 2 ** 31 - 1;
const MODULE_AUX_LAYOUT = layout(moduleFields);
const SHOWN_KEY_BYTES = 64;

/** Bytes of the CRC64 behind the end opcode, from RDB version 5 on. */
export const CHECKSUM_BYTES = 8;

/** What stands at the cursor: the file's header, the next record, or the rest of a value or of what a module saved. */
export type RdbPlace = "header" | "record" | "value" | "module data" | "end";

/**
 * Reads records at the cursor and hands them to the sink, as far as the cursor's bytes go. A record is taken whole or looked at
 * again from its start when more has come; only values (and a module's data) are walked across the end of the bytes, because they
 * may be large. A value is held back until it is complete or longer than `partBytes`; from then on it leaves in parts.
 *
 * Whoever owns the bytes may move them between two calls of `run`: see `held` and `moved`.
 */
export class RdbParser {
  readonly cursor = new RdbCursor(Buffer.alloc(0));
  readonly #sink: RdbSink;
  readonly #maxBufferedBytes: number;
  readonly #partBytes: number;
  readonly #extent = new ValueExtent();
  readonly #entry = new RdbEntry();

  #place: RdbPlace = "header";
  #version = 0;
  #types: readonly (RdbType | undefined)[] = [];
  /** While in a value: where its bytes that are still needed begin, and its key's unless in parts. */
  #start = 0;
  #keyInPlace = false;
  #inParts = false;

  constructor(sink: RdbSink, maxBufferedBytes: number, partBytes: number) {
    this.#sink = sink;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#partBytes = partBytes;
  }

  get place(): RdbPlace {
    return this.#place;
  }

  /** RDB version of the file; 0 before its header has been read. */
  get version(): number {
    return this.#version;
  }

  get hasChecksum(): boolean {
    return this.#version >= CHECKSUM_SINCE;
  }

  /** The bytes of the cursor from this index on must be there at the next `run`. */
  get held(): number {
    return this.#place === "value" ? this.#start : this.cursor.pos;
  }

  /** The byte that stood at index `from` of the cursor's bytes now is `bytes[0]`, and those behind it follow, up to `end`. */
  moved(from: number, bytes: Buffer, end: number): void {
    const { cursor } = this;
    const entry = this.#entry;
    cursor.bytes = bytes;
    cursor.base += from;
    cursor.pos -= from;
    cursor.end = end;
    this.#start -= from;
    entry.valueStart -= from;
    if (!this.#keyInPlace) return;
    entry.keyBytes = bytes;
    entry.keyStart -= from;
    entry.keyEnd -= from;
  }

  /**
   * Reads up to the end of the bytes, or of the RDB: then the place is "end" and the cursor behind the checksum.
   *
   * @throws RdbError; and what the sink throws.
   */
  run(): void {
    const { cursor } = this;
    if (this.#place === "header" && !this.#header()) return;
    while (this.#place !== "end") {
      if (this.#place === "value") {
        if (!this.#value()) return;
      } else if (this.#place === "module data") {
        if (!this.#extent.advance(cursor)) return;
        this.#place = "record";
      }
      const start = cursor.pos;
      if (start === cursor.end) return;
      const first = cursor.bytes[start]!;
      cursor.pos = start + 1;
      if (first < FIRST_OPCODE ? !this.#key(first) : !this.#opcode(first)) {
        cursor.pos = start;
        return;
      }
    }
  }

  /** The same error with the key it is about, if it happened in a value. */
  explain(error: RdbError): RdbError {
    if (this.#place !== "value") return error;
    return new RdbError(`${error.reason}, in the value ${this.#ofKey()}`, error.offset);
  }

  #header(): boolean {
    const { cursor } = this;
    if (!cursor.has(HEADER_BYTES)) return false;
    const { format, version } = rdbFormat(cursor.bytes);
    this.#version = version;
    this.#types = format.types;
    cursor.pos += HEADER_BYTES;
    this.#place = "record";
    return true;
  }

  #key(type: number): boolean {
    const { cursor } = this;
    const entry = this.#entry;
    const start = cursor.pos;
    const count = cursor.string();
    if (count === INCOMPLETE) return false;
    this.#mustFit(count, "key", start);
    if (!cursor.has(count)) return false;
    const body = cursor.pos;
    this.#keyInPlace = cursor.encoding === ENCODING.raw;
    if (this.#keyInPlace) {
      entry.keyBytes = cursor.bytes;
      entry.keyStart = body;
      entry.keyEnd = body + count;
    } else {
      cursor.pos = start;
      const key = this.#wholeString("key")!;
      entry.keyBytes = key;
      entry.keyStart = 0;
      entry.keyEnd = key.length;
    }
    entry.type = type;
    const extentLayout = this.#types[type]?.layout;
    if (extentLayout === undefined) {
      throw new RdbError(`value type ${type} can't be read: the value ${this.#ofKey()}`, cursor.base + start - 1);
    }
    entry.valueStart = body + count;
    cursor.pos = body + count;
    this.#extent.begin(extentLayout);
    this.#start = start;
    this.#inParts = false;
    this.#place = "value";
    return true;
  }

  /** Walks on through the value; true once it has been delivered. */
  #value(): boolean {
    const { cursor } = this;
    const entry = this.#entry;
    const complete = this.#extent.advance(cursor);
    if (!this.#inParts) {
      if (cursor.pos - entry.valueStart <= this.#partBytes) {
        if (!complete) return false;
        entry.valueBytes = cursor.bytes;
        entry.valueEnd = cursor.pos;
        this.#sink.entry(entry);
        entry.clear();
        this.#place = "record";
        return true;
      }
      this.#inParts = true;
      this.#start = entry.valueStart;
      this.#sink.entryStart(entry);
      this.#keepKeyShown();
    }
    for (; cursor.pos - this.#start > this.#partBytes; this.#start += this.#partBytes) {
      this.#sink.entryPart(cursor.bytes.subarray(this.#start, this.#start + this.#partBytes));
    }
    if (!complete) return false;
    this.#sink.entryPart(cursor.bytes.subarray(this.#start, cursor.pos));
    this.#sink.entryEnd();
    entry.clear();
    this.#place = "record";
    return true;
  }

  /** Reads the operands of an opcode, which has been passed; false if they are not all there. */
  #opcode(opcode: number): boolean {
    const { cursor } = this;
    const entry = this.#entry;
    switch (opcode) {
      case OPCODE.expireMs:
        if (!cursor.has(8)) return false;
        entry.expireAtMs = readMs(cursor);
        return true;
      case OPCODE.expireSeconds:
        if (!cursor.has(4)) return false;
        entry.expireAtMs = cursor.bytes.readInt32LE(cursor.pos) * 1000;
        cursor.pos += 4;
        return true;
      case OPCODE.idle: {
        const seconds = cursor.length();
        if (seconds !== INCOMPLETE) entry.idleSeconds = seconds;
        return seconds !== INCOMPLETE;
      }
      case OPCODE.freq:
        if (!cursor.has(1)) return false;
        entry.freq = cursor.bytes[cursor.pos++]!;
        return true;
      case OPCODE.selectDb:
        return this.#selectDb();
      case OPCODE.resizeDb: {
        const keys = cursor.length();
        const expires = keys === INCOMPLETE ? INCOMPLETE : cursor.length();
        if (expires !== INCOMPLETE) this.#sink.resizeDb(keys, expires);
        return expires !== INCOMPLETE;
      }
      case OPCODE.slotInfo:
        return cursor.length() !== INCOMPLETE && cursor.length() !== INCOMPLETE && cursor.length() !== INCOMPLETE;
      case OPCODE.aux:
        return this.#aux();
      case OPCODE.functionLibrary: {
        const start = cursor.pos;
        if (!this.#passWholeString("function library")) return false;
        this.#sink.functionLibrary(cursor.bytes.subarray(start, cursor.pos));
        return true;
      }
      case OPCODE.moduleAux: {
        const start = cursor.pos;
        if (cursor.skipLength() === INCOMPLETE) return false;
        this.#sink.moduleAux(moduleName(cursor.bytes, start));
        this.#extent.begin(MODULE_AUX_LAYOUT);
        this.#place = "module data";
        return true;
      }
      case OPCODE.end:
        return this.#end();
      default: {
        const name = opcode === OPCODE.functionBeforeRelease ? "functions of a 7.0 release candidate" : "unknown opcode";
        throw new RdbError(`${name} (0x${opcode.toString(16)}) can't be read`, cursor.offset - 1);
      }
    }
  }

  #selectDb(): boolean {
    const { cursor } = this;
    const db = cursor.length();
    if (db === INCOMPLETE) return false;
    if (db > MAX_DB) throw cursor.fail(`a database number of ${db} is not possible`);
    this.#entry.db = db;
    this.#sink.selectDb(db);
    return true;
  }

  #aux(): boolean {
    const name = this.#wholeString("aux field");
    const value = name === undefined ? undefined : this.#wholeString("aux field");
    if (name === undefined || value === undefined) return false;
    this.#sink.aux(name, value);
    return true;
  }

  #end(): boolean {
    const { cursor } = this;
    const checksumBytes = this.hasChecksum ? CHECKSUM_BYTES : 0;
    if (!cursor.has(checksumBytes)) return false;
    cursor.pos += checksumBytes;
    this.#place = "end";
    return true;
  }

  /** Decodes the string at the cursor; undefined if it is not all there. */
  #wholeString(what: string): Buffer | undefined {
    const { cursor } = this;
    const start = cursor.pos;
    if (!this.#passWholeString(what)) return undefined;
    cursor.pos = start;
    return readString(cursor);
  }

  #passWholeString(what: string): boolean {
    const { cursor } = this;
    const start = cursor.pos;
    const count = cursor.string();
    if (count === INCOMPLETE) return false;
    this.#mustFit(count, what, start);
    if (!cursor.has(count)) return false;
    cursor.pos += count;
    return true;
  }

  /** Refuses a string that must be held whole and is too long for it, as soon as its header is there. */
  #mustFit(count: number, what: string, start: number): void {
    const { cursor } = this;
    const most = cursor.encoding === ENCODING.lzf ? Math.max(count, cursor.plainBytes) : count;
    if (most <= this.#maxBufferedBytes) return;
    throw new RdbError(`a ${what} of ${most} bytes is longer than ${this.#maxBufferedBytes}`, cursor.base + start);
  }

  /** The bytes of the key are let go of; what an error would show of it stays. */
  #keepKeyShown(): void {
    const entry = this.#entry;
    entry.keyBytes = Buffer.from(entry.key.subarray(0, SHOWN_KEY_BYTES + 1));
    entry.keyStart = 0;
    entry.keyEnd = entry.keyBytes.length;
    this.#keyInPlace = false;
  }

  #ofKey(): string {
    const { key, db, type } = this.#entry;
    const shown = JSON.stringify(key.toString("latin1", 0, SHOWN_KEY_BYTES)) + (key.length > SHOWN_KEY_BYTES ? "…" : "");
    return `(${rdbTypeName(type)}) of key ${shown} in database ${db}`;
  }
}

/** A signed 64-bit time, little endian, which is there. */
function readMs(cursor: RdbCursor): number {
  const ms = cursor.bytes.readInt32LE(cursor.pos + 4) * 2 ** 32 + cursor.bytes.readUInt32LE(cursor.pos);
  cursor.pos += 8;
  return Math.min(ms, Number.MAX_SAFE_INTEGER);
}
