import { ENCODING, INCOMPLETE, RdbCursor } from "../rdb/rdb-cursor.ts";
import { RdbError } from "../rdb/rdb-error.ts";
import { readBody, readString } from "../rdb/rdb-string.ts";

const NONE = Buffer.alloc(0);

/** What reading gives while the bytes that are there do not suffice: more must be pushed before it is resumed. */
export type Waiting<Result> = Generator<undefined, Result>;

/**
 * The raw bytes of one value, which come in pieces of any size, and the reads that need some of them at once.
 *
 * Pieces are read in place. Only what lies across their borders is copied, once, when all of it has come: so a string of many
 * pieces costs one copy, and a declared size nothing until its bytes are there. What is read are views of pieces or of such copies;
 * they stay valid as long as the pieces are not overwritten.
 */
export class ValueBytes {
  readonly cursor = new RdbCursor(NONE);
  readonly maxElementBytes: number;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #hasEnded = false;

  /** `maxElementBytes`: the longest string that is held whole. */
  constructor(maxElementBytes: number) {
    this.maxElementBytes = maxElementBytes;
  }

  /** The next bytes of the value. */
  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#waiting.push(piece);
    this.#waitingBytes += piece.length;
  }

  /** No more bytes will come. */
  end(): void {
    this.#hasEnded = true;
  }

  /** Nothing is left of what was pushed. */
  get isEmpty(): boolean {
    return this.cursor.pos === this.cursor.end && this.#waitingBytes === 0;
  }

  /** Waits for `count` bytes at the cursor. @throws RdbError: the value ends before. */
  *need(count: number): Waiting<void> {
    while (!this.cursor.has(count)) if (!this.#join(count)) yield undefined;
  }

  /** Waits for any bytes and passes over up to `most` of them, which are returned: without a copy. */
  *some(most: number): Waiting<Buffer> {
    yield* this.need(1);
    const { cursor } = this;
    const from = cursor.pos;
    cursor.pos = Math.min(from + most, cursor.end);
    return cursor.bytes.subarray(from, cursor.pos);
  }

  /** Passes `count` bytes and returns them. */
  *exactly(count: number): Waiting<Buffer> {
    yield* this.need(count);
    const { cursor } = this;
    cursor.pos += count;
    return cursor.bytes.subarray(cursor.pos - count, cursor.pos);
  }

  /** A length, 0 to 2^53 - 1. */
  *length(): Waiting<number> {
    for (;;) {
      const length = this.cursor.length();
      if (length !== INCOMPLETE) return length;
      yield* this.#more();
    }
  }

  /** A length of 64 bits. */
  *wideLength(): Waiting<bigint> {
    for (;;) {
      const length = this.cursor.wideLength();
      if (length !== undefined) return length;
      yield* this.#more();
    }
  }

  /** Passes the header of a string and returns how many bytes follow it; the cursor says how they are encoded. */
  *stringHeader(): Waiting<number> {
    for (;;) {
      const count = this.cursor.string();
      if (count !== INCOMPLETE) return count;
      yield* this.#more();
    }
  }

  /** A whole string, decoded. @throws RdbError: it is longer than `maxElementBytes`. */
  *string(): Waiting<Buffer> {
    const { cursor } = this;
    const start = cursor.offset;
    const count = yield* this.stringHeader();
    this.#mustFit(count, start);
    yield* this.need(count);
    return readBody(cursor, count);
  }

  /** As `string` if it is short, plain and all there, which nearly all are; else undefined, and nothing has happened. */
  readyString(): Buffer | undefined {
    const { cursor } = this;
    const first = cursor.pos < cursor.end ? cursor.bytes[cursor.pos]! : 0xff;
    return first < 0x80 ? readString(cursor) : undefined;
  }

  *#more(): Waiting<void> {
    yield* this.need(this.cursor.end - this.cursor.pos + 1);
  }

  #mustFit(count: number, start: number): void {
    const { cursor } = this;
    const most = cursor.encoding === ENCODING.lzf ? Math.max(count, cursor.plainBytes) : count;
    if (most > this.maxElementBytes) {
      throw new RdbError(`an element of ${most} bytes is longer than ${this.maxElementBytes}`, start);
    }
  }

  /** Makes `count` bytes of what is left and of waiting pieces; false: they are not there yet. */
  #join(count: number): boolean {
    const { cursor } = this;
    const left = cursor.end - cursor.pos;
    if (left + this.#waitingBytes < count) {
      if (this.#hasEnded) throw new RdbError("the value is cut off", cursor.base + cursor.end + this.#waitingBytes);
      return false;
    }
    const parts = left === 0 ? [] : [cursor.bytes.subarray(cursor.pos, cursor.end)];
    let size = left;
    let taken = 0;
    for (; size < count; taken++) {
      const piece = this.#waiting[taken]!;
      parts.push(piece);
      size += piece.length;
    }
    this.#waiting.splice(0, taken);
    this.#waitingBytes -= size - left;
    cursor.base += cursor.pos;
    cursor.bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts, size);
    cursor.pos = 0;
    cursor.end = size;
    return true;
  }
}
