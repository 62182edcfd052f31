/** The polynomial of Redis crc64.c ("Jones", 0xad93d23594c935a9) with its bits reflected, as two 32-bit halves. */
const POLYNOMIAL_LOW = 0xac4bc9b5 | 0;
const POLYNOMIAL_HIGH = 0x95ac9329 | 0;

const SLICES = 8;

/**
 * `LOW[k * 256 + b]` and `HIGH[k * 256 + b]` are the halves of the CRC of byte `b` followed by `k` zero bytes, so eight input
 * bytes cost sixteen independent look-ups instead of a chain of eight (slicing by 8). 16 KiB in all, which stays in the L1 cache.
 */
const LOW = new Int32Array(SLICES * 256);
const HIGH = new Int32Array(SLICES * 256);

for (let byte = 0; byte < 256; byte++) {
  let low = byte;
  let high = 0;
  for (let bit = 0; bit < 8; bit++) {
    const odd = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (odd === 1) {
      low ^= POLYNOMIAL_LOW;
      high ^= POLYNOMIAL_HIGH;
    }
  }
  LOW[byte] = low;
  HIGH[byte] = high;
}
for (let at = 256; at < SLICES * 256; at++) {
  const low = LOW[at - 256]!;
  const high = HIGH[at - 256]!;
  LOW[at] = ((low >>> 8) | (high << 24)) ^ LOW[low & 0xff]!;
  HIGH[at] = (high >>> 8) ^ HIGH[low & 0xff]!;
}

/**
 * The running CRC-64 of RDB files and DUMP payloads (Redis crc64.c; check value of "123456789": e9c6d914c4b8d9ca). Two 32-bit
 * halves, no BigInt; `update` allocates nothing.
 */
export class Crc64 {
  #low = 0;
  #high = 0;

  /** Takes in `bytes[start, end)`. Cutting the input differently gives the same result. */
  update(bytes: Uint8Array, start = 0, end = bytes.length): this {
    let low = this.#low;
    let high = this.#high;
    let at = start;
    for (const last = end - 7; at < last; at += 8) {
      low ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      high ^= bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24);
      const a = 1792 + (low & 0xff);
      const b = 1536 + ((low >>> 8) & 0xff);
      const c = 1280 + ((low >>> 16) & 0xff);
      const d = 1024 + (low >>> 24);
      const e = 768 + (high & 0xff);
      const f = 512 + ((high >>> 8) & 0xff);
      const g = 256 + ((high >>> 16) & 0xff);
      const h = high >>> 24;
      low = LOW[a]! ^ LOW[b]! ^ LOW[c]! ^ LOW[d]! ^ LOW[e]! ^ LOW[f]! ^ LOW[g]! ^ LOW[h]!;
      high = HIGH[a]! ^ HIGH[b]! ^ HIGH[c]! ^ HIGH[d]! ^ HIGH[e]! ^ HIGH[f]! ^ HIGH[g]! ^ HIGH[h]!;
    }
    for (; at < end; at++) {
      const index = (low ^ bytes[at]!) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ LOW[index]!;
      high = (high >>> 8) ^ HIGH[index]!;
    }
    this.#low = low;
    this.#high = high;
    return this;
  }

  /** Writes the eight bytes that RDB files and DUMP payloads end with: little endian, so the low half first. */
  writeTo(target: Buffer, offset: number): void {
    target.writeInt32LE(this.#low, offset);
    target.writeInt32LE(this.#high, offset + 4);
  }

  /** Whether the eight bytes at `offset`, little endian, are this CRC. */
  matches(bytes: Buffer, offset: number): boolean {
    return bytes.readInt32LE(offset) === this.#low && bytes.readInt32LE(offset + 4) === this.#high;
  }

  /** Sixteen hexadecimal digits, most significant first: the number as Redis documents it. */
  toString(): string {
    return hex(this.#high) + hex(this.#low);
  }
}

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, "0");
}
