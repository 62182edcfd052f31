import { RdbError } from "./rdb-error.ts";

/** What the reads of a cursor return when the bytes end first; the position is then unchanged. */
export const INCOMPLETE = -1;

/** How the bytes of a string are written; the numbers 0 to 3 are those of Redis rdb.h (RDB_ENC_*). */
export const ENCODING = { int8: 0, int16: 1, int32: 2, lzf: 3, raw: 4 } as const;

/**
 * No string of an RDB is longer: `proto-max-bulk-len` is 512 MiB unless raised, and listpacks and ziplists count their bytes in
 * 32 bits. A longer declaration is taken for corruption, so that it can't swallow whatever follows the RDB.
 */
const MAX_STRING_BYTES = 2 ** 32;

/**
 * A place in the bytes of an RDB at which lengths and string headers are read (formats: Redis rdb.c, rdbLoadLenByRef and
 * rdbGenericLoadStringObject). A read either happens whole or returns INCOMPLETE, at most 19 bytes before `end`.
 */
export class RdbCursor {
  bytes: Buffer;
  pos: number;
  end: number;
  /** Offset of `bytes[0]` in the RDB file; for errors. */
  base = 0;
  /** Of the string header read last: one of ENCODING. */
  encoding: number = ENCODING.raw;
  /** Of the string header read last, if LZF: the size after decompression. */
  plainBytes = 0;

  constructor(bytes: Buffer, pos = 0, end = bytes.length) {
    this.bytes = bytes;
    this.pos = pos;
    this.end = end;
  }

  /** Offset in the file of the next byte. */
  get offset(): number {
    return this.base + this.pos;
  }

  has(count: number): boolean {
    return this.end - this.pos >= count;
  }

  /** A length: 0 to 2^53 - 1, else RdbError. */
  length(): number {
    const { bytes, pos } = this;
    if (pos >= this.end) return INCOMPLETE;
    const first = bytes[pos]!;
    if (first < 0x40) {
      this.pos = pos + 1;
      return first;
    }
    if (first < 0x80) {
      if (!this.has(2)) return INCOMPLETE;
      this.pos = pos + 2;
      return ((first & 0x3f) << 8) | bytes[pos + 1]!;
    }
    if (first === 0x80) {
      if (!this.has(5)) return INCOMPLETE;
      this.pos = pos + 5;
      return bytes.readUInt32BE(pos + 1);
    }
    if (first !== 0x81) throw this.fail(`expected a length, found ${hexByte(first)}`);
    if (!this.has(9)) return INCOMPLETE;
    const length = bytes.readUInt32BE(pos + 1) * 2 ** 32 + bytes.readUInt32BE(pos + 5);
    if (length > Number.MAX_SAFE_INTEGER) throw this.fail(`a length of ${length} is not possible`);
    this.pos = pos + 9;
    return length;
  }

  /** A length of any 64-bit value, unsigned (ids, counters); undefined if it is not all there. */
  wideLength(): bigint | undefined {
    const first = this.pos < this.end ? this.bytes[this.pos]! : 0;
    if (first !== 0x81) {
      const length = this.length();
      return length === INCOMPLETE ? undefined : BigInt(length);
    }
    if (!this.has(9)) return undefined;
    this.pos += 9;
    return this.bytes.readBigUInt64BE(this.pos - 8);
  }

  /** Passes a length of any 64-bit value (ids, counters, signed integers of modules); 0 or INCOMPLETE. */
  skipLength(): number {
    const first = this.pos < this.end ? this.bytes[this.pos]! : 0;
    if (first !== 0x81) return this.length() === INCOMPLETE ? INCOMPLETE : 0;
    if (!this.has(9)) return INCOMPLETE;
    this.pos += 9;
    return 0;
  }

  /** Reads the header of a string and returns how many bytes follow it; sets `encoding` and `plainBytes`. */
  string(): number {
    const start = this.pos;
    if (start >= this.end) return INCOMPLETE;
    const first = this.bytes[start]!;
    if (first < 0x40) {
      this.encoding = ENCODING.raw;
      this.pos = start + 1;
      return first;
    }
    if (first < 0xc0) {
      this.encoding = ENCODING.raw;
      const length = this.length();
      if (length > MAX_STRING_BYTES) throw this.#tooLong(length, start);
      return length;
    }
    const encoding = first & 0x3f;
    if (encoding > ENCODING.lzf) throw this.fail(`expected a string, found ${hexByte(first)}`);
    this.encoding = encoding;
    this.pos = start + 1;
    if (encoding < ENCODING.lzf) return 1 << encoding;
    const packed = this.length();
    const plain = packed === INCOMPLETE ? INCOMPLETE : this.length();
    if (plain === INCOMPLETE) {
      this.pos = start;
      return INCOMPLETE;
    }
    if (packed > MAX_STRING_BYTES || plain > MAX_STRING_BYTES) throw this.#tooLong(Math.max(packed, plain), start);
    this.plainBytes = plain;
    return packed;
  }

  /** An error at the next byte. */
  fail(message: string): RdbError {
    return new RdbError(message, this.offset);
  }

  #tooLong(length: number, start: number): RdbError {
    return new RdbError(`a string of ${length} bytes is not possible (most: ${MAX_STRING_BYTES})`, this.base + start);
  }
}

function hexByte(byte: number): string {
  return `0x${byte.toString(16).padStart(2, "0")}`;
}
