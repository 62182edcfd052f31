import { ENCODING, INCOMPLETE, RdbCursor } from "./rdb-cursor.ts";
import { RdbEntry } from "./rdb-entry.ts";
import { RdbError } from "./rdb-error.ts";
import { HEADER_BYTES, rdbFormat } from "./rdb-format.ts";
import { moduleName } from "./module-name.ts";
import { FIRST_OPCODE, OPCODE, opcodeName } from "./rdb-opcode.ts";
import { readString } from "./rdb-string.ts";
import { rdbTypeName, typeOfByte } from "./rdb-type.ts";
import type { RdbSink } from "./rdb-sink.ts";
import type { RdbType } from "./rdb-type.ts";
import { ValueExtent } from "./value-extent.ts";
import { bytes, layout, length, moduleFields, repeat, string } from "./value-layout.ts";
import type { ValueLayout } from "./value-layout.ts";

const CHECKSUM_SINCE = 5;
const MAX_DB = 2 ** 31 - 1;
const MODULE_AUX_LAYOUT = layout(moduleFields);
const KEY_META_LAYOUT = layout(repeat(bytes(4), moduleFields));
const SLOT_IMPORT_LAYOUT = layout(string, repeat(length, length));
const SHOWN_KEY_BYTES = 64;

/** Bytes of the CRC64 behind the end opcode, from RDB version 5 on. */
export const CHECKSUM_BYTES = 8;

/** What stands at the cursor: the file's header, the next record, or the rest of a value or of a record that is passed over. */
export type RdbPlace = "header" | "record" | "value" | "extra data" | "end";

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
  readonly #skipsUnknown: boolean;
  readonly #extent = new ValueExtent();
  readonly #entry = new RdbEntry();

  #place: RdbPlace = "header";
  #version = 0;
  #types: readonly (RdbType | undefined)[] = [];
  #isValkey = false;
  /** Offset of metadata that belongs to the next key, else -1. */
  #metadataAt = -1;
  /** While in a value: where its bytes that are still needed begin, and its key's unless in parts. */
  #start = 0;
  #keyInPlace = false;
  #inParts = false;
  /** The value is passed over. */
  #isSkipped = false;

  constructor(sink: RdbSink, maxBufferedBytes: number, partBytes: number, skipsUnknown: boolean) {
    this.#sink = sink;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#partBytes = partBytes;
    this.#skipsUnknown = skipsUnknown;
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
      } else if (this.#place === "extra data") {
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
    this.#isValkey = format.isValkey;
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
    entry.type = typeOfByte(type, this.#isValkey);
    const extentLayout = this.#known(type, cursor.base + start - 1).layout;
    entry.valueStart = body + count;
    cursor.pos = body + count;
    this.#extent.begin(extentLayout);
    this.#start = start;
    this.#inParts = false;
    if (this.#isSkipped) {
      this.#sink.skipped?.(entry);
      this.#keepKeyShown();
    }
    this.#place = "value";
    return true;
  }

  /** Settles what happens to a value by its type and by what stood before its key; throws where it can't be carried. */
  #known(type: number, offset: number): RdbType & { readonly layout: ValueLayout } {
    const known = this.#types[type];
    if (known?.layout === undefined) throw new RdbError(`value type ${type} can't be read: the value ${this.#ofKey()}`, offset);
    this.#isSkipped = known.isForeign === true;
    if (this.#isSkipped && !this.#skipsUnknown) {
      throw new RdbError(`value type ${type} is of a later RDB version: the value ${this.#ofKey()}`, offset);
    }
    this.#entry.hasMetadata = this.#metadataAt >= 0;
    if (this.#entry.hasMetadata && !this.#skipsUnknown) {
      throw new RdbError(`metadata of a module can't be carried: it is at the value ${this.#ofKey()}`, this.#metadataAt);
    }
    this.#metadataAt = -1;
    return known as RdbType & { readonly layout: ValueLayout };
  }

  /** Walks on through the value; true once it has been delivered. */
  #value(): boolean {
    const { cursor } = this;
    const entry = this.#entry;
    const complete = this.#extent.advance(cursor);
    if (this.#isSkipped) {
      this.#start = cursor.pos;
      return complete && this.#endValue();
    }
    if (!this.#inParts) {
      if (cursor.pos - entry.valueStart <= this.#partBytes) {
        if (!complete) return false;
        entry.valueBytes = cursor.bytes;
        entry.valueEnd = cursor.pos;
        this.#sink.entry(entry);
        return this.#endValue();
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
    return this.#endValue();
  }

  #endValue(): true {
    this.#entry.clear();
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
        return this.#pass(MODULE_AUX_LAYOUT);
      }
      case OPCODE.byMagic:
        if (this.#isValkey) return this.#pass(SLOT_IMPORT_LAYOUT);
        this.#metadataAt = cursor.offset - 1;
        return this.#pass(KEY_META_LAYOUT);
      case OPCODE.end:
        return this.#end();
      default: {
        const name = opcodeName(opcode, this.#isValkey);
        throw new RdbError(`${name} (0x${opcode.toString(16)}) can't be read`, cursor.offset - 1);
      }
    }
  }

  /** Passes over the operands of an opcode, which are not needed and may be large. */
  #pass(operands: ValueLayout): true {
    this.#extent.begin(operands);
    this.#place = "extra data";
    return true;
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
