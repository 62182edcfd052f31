import { ENCODING } from "../rdb/rdb-cursor.ts";
import { RdbError } from "../rdb/rdb-error.ts";
import { readBody } from "../rdb/rdb-string.ts";
import type { ValueBytes } from "./value-bytes.ts";
import type { ValueElement, ValueElements } from "./value-element.ts";

/** Up to this size a string is one part; larger ones come in parts of at most this and the window. */
const PART_BYTES = 256 * 1024;
/** As far back as a reference of LZF reaches. */
const WINDOW_BYTES = 8192;
/** The most that one block of LZF gives. */
const MOST_OUT = 264;
/** The bytes of the longest block of LZF: a literal of 32. */
const MOST_IN = 33;

/** The parts of a string, whose size does not matter: at most 264 KiB of it are held. */
export function* stringElements(bytes: ValueBytes): ValueElements {
  const { cursor } = bytes;
  const count = yield* bytes.stringHeader();
  const { encoding, plainBytes } = cursor;
  if (encoding === ENCODING.lzf && (count > PART_BYTES || plainBytes > PART_BYTES)) {
    yield* unpackedParts(bytes, count, plainBytes);
    return;
  }
  if (count <= PART_BYTES) {
    yield* bytes.need(count);
    yield part(readBody(cursor, count));
    return;
  }
  for (let left = count; left > 0;) {
    const piece = yield* bytes.some(Math.min(left, PART_BYTES));
    left -= piece.length;
    yield part(piece);
  }
}

/** `decompressLzf` for what does not fit at once: the last 8 KiB of the output are kept for references to them. */
function* unpackedParts(bytes: ValueBytes, packedBytes: number, plainBytes: number): ValueElements {
  const end = bytes.cursor.offset + packedBytes;
  const out = new LzfWindow(plainBytes);
  while (bytes.cursor.offset < end) {
    yield* bytes.need(Math.min(MOST_IN, end - bytes.cursor.offset));
    unpackBlock(bytes, end, out);
    if (out.isFull) yield part(out.take());
  }
  if (out.total !== plainBytes) {
    throw new RdbError(`LZF: ${out.total} bytes came out, ${plainBytes} were declared`, end);
  }
  const rest = out.take();
  if (rest.length > 0) yield part(rest);
}

/** One block, of which all bytes are there unless the input ends within it. */
function unpackBlock({ cursor }: ValueBytes, end: number, out: LzfWindow): void {
  const block = cursor.offset;
  const left = end - block;
  const { bytes, pos } = cursor;
  const control = bytes[pos]!;
  if (control < 0x20) {
    const count = control + 1;
    if (1 + count > left) throw new RdbError("LZF: the input ends within a literal", block);
    out.literal(bytes, pos + 1, count, block);
    cursor.pos = pos + 1 + count;
    return;
  }
  const isFar = control >>> 5 === 7;
  if ((isFar ? 3 : 2) > left) throw new RdbError("LZF: the input ends within a reference", block);
  const count = isFar ? bytes[pos + 1]! + 9 : (control >>> 5) + 2;
  cursor.pos = pos + (isFar ? 3 : 2);
  out.reference((((control & 0x1f) << 8) | bytes[cursor.pos - 1]!) + 1, count, block);
}

/** The output that has not been taken yet, behind as much of what has as references reach back to. */
class LzfWindow {
  readonly #plainBytes: number;
  #bytes = Buffer.allocUnsafe(WINDOW_BYTES + PART_BYTES);
  #from = 0;
  #at = 0;
  /** Bytes that came out so far. */
  total = 0;

  constructor(plainBytes: number) {
    this.#plainBytes = plainBytes;
  }

  /** No other block is certain to fit. */
  get isFull(): boolean {
    return this.#at + MOST_OUT > this.#bytes.length;
  }

  literal(bytes: Buffer, from: number, count: number, block: number): void {
    this.#grow(count, block);
    bytes.copy(this.#bytes, this.#at, from, from + count);
    this.#at += count;
  }

  reference(back: number, count: number, block: number): void {
    if (back > this.#at) throw new RdbError("LZF: a reference to before the output", block);
    this.#grow(count, block);
    for (let left = count; left > 0; left--, this.#at++) this.#bytes[this.#at] = this.#bytes[this.#at - back]!;
  }

  /** What has come out since the last time. */
  take(): Buffer {
    const taken = this.#bytes.subarray(this.#from, this.#at);
    const kept = Math.min(WINDOW_BYTES, this.#at);
    const next = Buffer.allocUnsafe(WINDOW_BYTES + PART_BYTES);
    this.#bytes.copy(next, 0, this.#at - kept, this.#at);
    this.#bytes = next;
    this.#from = kept;
    this.#at = kept;
    return taken;
  }

  #grow(count: number, block: number): void {
    this.total += count;
    if (this.total > this.#plainBytes) {
      throw new RdbError(`LZF: more bytes come out than the ${this.#plainBytes} declared`, block);
    }
  }
}

function part(bytes: Buffer): ValueElement {
  return { kind: "part", bytes };
}
