import { RdbError } from "../rdb/rdb-error.ts";

const END = 0xff;
const LONG = 0xfe;

/**
 * Walks through a zipmap, the form of small hashes before Redis 2.6 (zipmap.c):
 * `zipmap = count(1) ( length field length free(1) value unused{free} )* 0xff`, where a length is one byte up to 253, or 254 and 4
 * bytes, little endian; a count of 254 says nothing.
 */
export class Zipmap {
  readonly #bytes: Buffer;
  readonly #base: number;
  #at = 1;
  #passed = 0;

  /** `base`: offset of the first byte, for errors. */
  constructor(bytes: Buffer, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
    if (bytes.length < 2) throw new RdbError("a zipmap has at least 2 bytes", base);
  }

  /** The next field or value, by turns, as a view; undefined at the end. @throws RdbError: cut off or malformed. */
  next(): Buffer | undefined {
    const bytes = this.#bytes;
    const isField = this.#passed % 2 === 0;
    if (isField && bytes[this.#at] === END) {
      this.#end();
      return undefined;
    }
    const length = this.#length();
    const free = isField ? 0 : this.#byte();
    const from = this.#at;
    if (from + length + free >= bytes.length) throw this.#fail("the zipmap ends within an entry");
    this.#at = from + length + free;
    this.#passed++;
    return bytes.subarray(from, from + length);
  }

  #length(): number {
    const first = this.#byte();
    if (first < LONG) return first;
    if (first === END || this.#at + 4 > this.#bytes.length) throw this.#fail("the zipmap ends within an entry");
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.#fail("the zipmap ends within an entry");
    this.#at++;
    return byte;
  }

  #end(): void {
    if (this.#at !== this.#bytes.length - 1) throw this.#fail("the zipmap goes on behind its end");
    const count = this.#bytes[0] as number;
    if (count < LONG && count * 2 !== this.#passed) {
      throw new RdbError(`the zipmap says ${count} fields and has ${this.#passed / 2}`, this.#base);
    }
  }

  #fail(reason: string): RdbError {
    return new RdbError(reason, this.#base + this.#at);
  }
}
