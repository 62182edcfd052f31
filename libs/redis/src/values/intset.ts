import { RdbError } from "../rdb/rdb-error.ts";

/** Bytes of a member (4) and number of members (4), little endian. */
const HEADER_BYTES = 8;

/** Walks through an intset (Redis intset.h): signed members of 2, 4 or 8 bytes, little endian, as their text. */
export class Intset {
  readonly #bytes: Buffer;
  readonly #size: number;
  #at = HEADER_BYTES;

  /** `base`: offset of the first byte, for errors. @throws RdbError: the header does not fit its size. */
  constructor(bytes: Buffer, base = 0) {
    this.#bytes = bytes;
    if (bytes.length < HEADER_BYTES) throw new RdbError("an intset has at least 8 bytes", base);
    this.#size = bytes.readUInt32LE(0);
    const count = bytes.readUInt32LE(4);
    if (![2, 4, 8].includes(this.#size)) throw new RdbError(`an intset has no members of ${this.#size} bytes`, base);
    if (HEADER_BYTES + this.#size * count !== bytes.length) {
      throw new RdbError(`the intset says ${count} members of ${this.#size} bytes and has ${bytes.length} bytes`, base + 4);
    }
  }

  /** The next member; undefined at the end. */
  next(): Buffer | undefined {
    const at = this.#at;
    if (at === this.#bytes.length) return undefined;
    this.#at += this.#size;
    const member = this.#size === 8 ? this.#bytes.readBigInt64LE(at) : this.#bytes.readIntLE(at, this.#size);
    return Buffer.from(String(member), "latin1");
  }
}
