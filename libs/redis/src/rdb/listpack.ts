import { RdbError } from "./rdb-error.ts";

/** Total bytes (4, little endian) and number of elements (2; 65535: too many to tell). */
const HEADER_BYTES = 6;
const END = 0xff;

/**
 * The elements of a listpack (Redis listpack.c, lpGet), in order; integers as their text. Strings are views of `bytes`.
 *
 * `listpack = total(4) count(2) element* 0xff`, `element = encoding data backlen`, where backlen takes 1 to 5 bytes by the size
 * of the two before it:
 * · `0nnnnnnn`: 0 to 127 · `110nnnnn` + 1 byte: 13 bits, signed · `11110001` to `11110100` + 2, 3, 4, 8 bytes: signed
 * · `10nnnnnn`: a string of up to 63 bytes · `1110nnnn` + 1 byte: of up to 4095 · `11110000` + 4 bytes: longer
 *
 * @throws RdbError with an offset in `bytes`: it is cut off, malformed, or not as long as it says.
 */
export function listpackElements(bytes: Buffer): Buffer[] {
  if (bytes.length < HEADER_BYTES + 1) throw new RdbError("a listpack has at least 7 bytes", 0);
  const total = bytes.readUInt32LE(0);
  if (total !== bytes.length) throw new RdbError(`the listpack says ${total} bytes and has ${bytes.length}`, 0);
  const elements: Buffer[] = [];
  let at = HEADER_BYTES;
  while (bytes[at] !== END) {
    const { element, size } = elementAt(bytes, at);
    at += size + backLengthBytes(size);
    if (at >= bytes.length) throw new RdbError("the listpack ends within an element", at);
    elements.push(element);
  }
  if (at !== bytes.length - 1) throw new RdbError("the listpack goes on behind its end", at);
  const count = bytes.readUInt16LE(4);
  if (count !== 0xffff && count !== elements.length)
    throw new RdbError(`the listpack says ${count} elements and has ${elements.length}`, 4);
  return elements;
}

/** `size`: encoding and data, without what stands behind them. */
function elementAt(bytes: Buffer, at: number): { element: Buffer; size: number } {
  const first = bytes[at] as number;
  const need = (count: number): void => {
    if (at + count > bytes.length) throw new RdbError("the listpack ends within an element", at);
  };
  const text = (head: number, length: number): { element: Buffer; size: number } => {
    need(head + length);
    return { element: bytes.subarray(at + head, at + head + length), size: head + length };
  };
  const number = (size: number, read: () => number | bigint): { element: Buffer; size: number } => {
    need(size);
    return { element: Buffer.from(String(read()), "latin1"), size };
  };
  if (first < 0x80) return number(1, () => first);
  if (first < 0xc0) return text(1, first & 0x3f);
  if (first < 0xe0)
    return number(2, () => (((first & 0x1f) << 8) | (bytes[at + 1] as number)) - ((first & 0x10) === 0 ? 0 : 0x2000));
  if (first < 0xf0) {
    need(2);
    return text(2, ((first & 0x0f) << 8) | (bytes[at + 1] as number));
  }
  if (first === 0xf0) {
    need(5);
    return text(5, bytes.readUInt32LE(at + 1));
  }
  if (first === 0xf1) return number(3, () => bytes.readInt16LE(at + 1));
  if (first === 0xf2) return number(4, () => bytes.readIntLE(at + 1, 3));
  if (first === 0xf3) return number(5, () => bytes.readInt32LE(at + 1));
  if (first === 0xf4) return number(9, () => bytes.readBigInt64LE(at + 1));
  throw new RdbError(`no element of a listpack begins with 0x${first.toString(16)}`, at);
}

/** Redis listpack.c, lpEncodeBacklen: 7 bits a byte. */
function backLengthBytes(size: number): number {
  if (size <= 127) return 1;
  if (size < 16_383) return 2;
  if (size < 2_097_151) return 3;
  return size < 268_435_455 ? 4 : 5;
}
