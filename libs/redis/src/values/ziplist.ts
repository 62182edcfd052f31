import { RdbError } from "../rdb/rdb-error.ts";

/** Total bytes (4), offset of the last entry (4), number of entries (2; 65535: too many to tell); all little endian. */
const HEADER_BYTES = 10;
const END = 0xff;
const TOO_MANY = 0xffff;

/**
 * Walks through a ziplist (Redis ziplist.c, "ZIPLIST OVERALL LAYOUT").
 *
 * `ziplist = total(4) tail(4) count(2) entry* 0xff`, `entry = previous encoding data`, where previous is one byte up to 253, or
 * 254 and 4 bytes:
 * · `00nnnnnn`: a string of up to 63 bytes · `01nnnnnn` + 1 byte: of up to 16383 · `10......` + 4 bytes, big endian: longer
 * · `11000000`, `11010000`, `11100000`, `11110000`, `11111110` + 2, 4, 8, 3, 1 bytes: signed · `1111nnnn`: n - 1, from 0 to 12
 */
export class Ziplist {
  readonly #bytes: Buffer;
  readonly #base: number;
  #at = HEADER_BYTES;
  #passed = 0;

  /** `base`: offset of the first byte, for errors. @throws RdbError: it is not as long as it says. */
  constructor(bytes: Buffer, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
    if (bytes.length < HEADER_BYTES + 1) throw new RdbError("a ziplist has at least 11 bytes", base);
    const total = bytes.readUInt32LE(0);
    if (total !== bytes.length) throw new RdbError(`the ziplist says ${total} bytes and has ${bytes.length}`, base);
  }

  /** The next entry, a number as its text, a string as a view; undefined at the end. @throws RdbError: cut off or malformed. */
  next(): Buffer | undefined {
    const bytes = this.#bytes;
    if (bytes[this.#at] === END) {
      this.#end();
      return undefined;
    }
    const at = this.#at + (bytes[this.#at] === 0xfe ? 5 : 1);
    this.#need(at, 1);
    const entry = this.#entry(at);
    if (this.#at >= bytes.length) throw this.#fail("the ziplist has no end");
    this.#passed++;
    return entry;
  }

  #entry(at: number): Buffer {
    const bytes = this.#bytes;
    const first = bytes[at] as number;
    if (first < 0x40) return this.#text(at + 1, first);
    if (first < 0x80) {
      this.#need(at, 2);
      return this.#text(at + 2, ((first & 0x3f) << 8) | (bytes[at + 1] as number));
    }
    if (first < 0xc0) {
      this.#need(at, 5);
      return this.#text(at + 5, bytes.readUInt32BE(at + 1));
    }
    if (first > 0xf0 && first < 0xfe) return this.#number(at, 1, first - 0xf1);
    const size = NUMBER_BYTES.get(first);
    if (size === undefined) throw this.#fail(`no entry of a ziplist is encoded as 0x${first.toString(16)}`);
    this.#need(at, 1 + size);
    return this.#number(at, 1 + size, size === 8 ? bytes.readBigInt64LE(at + 1) : bytes.readIntLE(at + 1, size));
  }

  #number(at: number, size: number, value: number | bigint): Buffer {
    this.#at = at + size;
    return Buffer.from(String(value), "latin1");
  }

  #text(from: number, length: number): Buffer {
    this.#need(from, length);
    this.#at = from + length;
    return this.#bytes.subarray(from, from + length);
  }

  #need(from: number, count: number): void {
    if (from + count > this.#bytes.length) throw this.#fail("the ziplist ends within an entry");
  }

  #end(): void {
    if (this.#at !== this.#bytes.length - 1) throw this.#fail("the ziplist goes on behind its end");
    const count = this.#bytes.readUInt16LE(8);
    if (count !== TOO_MANY && count !== this.#passed) {
      throw new RdbError(`the ziplist says ${count} entries and has ${this.#passed}`, this.#base + 8);
    }
  }

  #fail(reason: string): RdbError {
    return new RdbError(reason, this.#base + this.#at);
  }
}

/** Bytes of a signed number by its encoding. */
const NUMBER_BYTES: ReadonlyMap<number, number> = new Map([
  [0xc0, 2],
  [0xd0, 4],
  [0xe0, 8],
  [0xf0, 3],
  [0xfe, 1],
]);
