import { RdbError } from "./rdb-error.ts";

/** Total bytes (4, little endian) and number of elements (2; 65535: too many to tell). */
const HEADER_BYTES = 6;
const END = 0xff;
const TOO_MANY = 0xffff;

/**
 * Walks through a listpack (Redis listpack.c, lpGet) without making anything of the elements that are passed.
 *
 * `listpack = total(4) count(2) element* 0xff`, `element = encoding data backlen`, where backlen takes 1 to 5 bytes by the size
 * of the two before it:
 * · `0nnnnnnn`: 0 to 127 · `110nnnnn` + 1 byte: 13 bits, signed · `11110001` to `11110100` + 2, 3, 4, 8 bytes: signed
 * · `10nnnnnn`: a string of up to 63 bytes · `1110nnnn` + 1 byte: of up to 4095 · `11110000` + 4 bytes: longer
 */
export class Listpack {
  readonly #bytes: Buffer;
  readonly #base: number;
  #at = HEADER_BYTES;
  #passed = 0;
  /** Of the element passed last: the string it is, or the number. */
  #text: Buffer | undefined;
  #number: number | bigint = 0;

  /** `base`: offset of the first byte, for errors. @throws RdbError: it is not as long as it says. */
  constructor(bytes: Buffer, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
    if (bytes.length < HEADER_BYTES + 1) throw new RdbError("a listpack has at least 7 bytes", base);
    const total = bytes.readUInt32LE(0);
    if (total !== bytes.length) throw new RdbError(`the listpack says ${total} bytes and has ${bytes.length}`, base);
  }

  /** The next element, a number as its text, a string as a view; undefined at the end. @throws RdbError: cut off or malformed. */
  next(): Buffer | undefined {
    if (!this.#advance()) return undefined;
    return this.#text ?? Buffer.from(String(this.#number), "latin1");
  }

  /** The next element, which must be there. @throws RdbError as `next`, or at the end. */
  expect(what: string): Buffer {
    const element = this.next();
    if (element === undefined) throw this.#fail(`the listpack ends where ${what} is expected`);
    return element;
  }

  /** The next element as a number of 64 bits, signed. @throws RdbError as `expect`, or no number. */
  integer(what: string): bigint {
    if (!this.#advance()) throw this.#fail(`the listpack ends where ${what} is expected`);
    if (this.#text === undefined) return BigInt(this.#number);
    const text = this.#text.toString("latin1", 0, 21);
    if (!/^-?\d{1,20}$/.test(text)) throw this.#fail(`${what} is no number`);
    return BigInt(text);
  }

  /** As `integer`: a count, from 0 to 2^32. */
  count(what: string): number {
    const number = this.integer(what);
    if (number < 0n || number > 0xffffffffn) throw this.#fail(`${what} is ${number}`);
    return Number(number);
  }

  /** Where the next element begins. */
  get offset(): number {
    return this.#base + this.#at;
  }

  #advance(): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] === END) {
      this.#end();
      return false;
    }
    const size = this.#element(bytes, this.#at);
    const next = this.#at + size + backLengthBytes(size);
    if (next >= bytes.length) throw this.#fail("the listpack ends within an element");
    this.#at = next;
    this.#passed++;
    return true;
  }

  #end(): void {
    const { length } = this.#bytes;
    if (this.#at !== length - 1) throw this.#fail("the listpack goes on behind its end");
    const count = this.#bytes.readUInt16LE(4);
    if (count !== TOO_MANY && count !== this.#passed) {
      throw new RdbError(`the listpack says ${count} elements and has ${this.#passed}`, this.#base + 4);
    }
  }

  /** Takes the element that begins at `at`; the bytes of its encoding and data. */
  #element(bytes: Buffer, at: number): number {
    const first = bytes[at] as number;
    if (first < 0x80) return this.#numberOf(1, first);
    if (first < 0xc0) return this.#textOf(at + 1, first & 0x3f);
    const size = SIZES[first - 0xc0] as number;
    if (at + size > bytes.length) throw this.#fail("the listpack ends within an element");
    if (first < 0xe0) {
      const value = ((first & 0x1f) << 8) | (bytes[at + 1] as number);
      return this.#numberOf(2, value - ((first & 0x10) === 0 ? 0 : 0x2000));
    }
    if (first < 0xf0) return this.#textOf(at + 2, ((first & 0x0f) << 8) | (bytes[at + 1] as number));
    if (first === 0xf0) return this.#textOf(at + 5, bytes.readUInt32LE(at + 1));
    if (first === 0xf1) return this.#numberOf(size, bytes.readInt16LE(at + 1));
    if (first === 0xf2) return this.#numberOf(size, bytes.readIntLE(at + 1, 3));
    if (first === 0xf3) return this.#numberOf(size, bytes.readInt32LE(at + 1));
    if (first === 0xf4) return this.#numberOf(size, bytes.readBigInt64LE(at + 1));
    throw this.#fail(`no element of a listpack begins with 0x${first.toString(16)}`);
  }

  #numberOf(size: number, value: number | bigint): number {
    this.#text = undefined;
    this.#number = value;
    return size;
  }

  #textOf(from: number, length: number): number {
    if (from + length > this.#bytes.length) throw this.#fail("the listpack ends within an element");
    this.#text = this.#bytes.subarray(from, from + length);
    return from + length - this.#at;
  }

  #fail(reason: string): RdbError {
    return new RdbError(reason, this.offset);
  }
}

/** Bytes of an encoding and what it says by itself, from 0xc0 on; strings without their text. */
const SIZES = Array.from({ length: 64 }, (_, index) => {
  if (index < 0x30) return 2;
  return [5, 3, 4, 5, 9][index - 0x30] ?? 1;
});

/** All elements of a listpack at once: see `Listpack`. */
export function listpackElements(bytes: Buffer): Buffer[] {
  const listpack = new Listpack(bytes);
  const elements: Buffer[] = [];
  for (let element = listpack.next(); element !== undefined; element = listpack.next()) elements.push(element);
  return elements;
}

/** Redis listpack.c, lpEncodeBacklen: 7 bits a byte. */
function backLengthBytes(size: number): number {
  if (size <= 127) return 1;
  if (size < 16_383) return 2;
  if (size < 2_097_151) return 3;
  return size < 268_435_455 ? 4 : 5;
}
