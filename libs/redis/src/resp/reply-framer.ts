import { MAX_BULK_BYTES, MAX_COMMAND_BYTES } from "./command-framer.ts";
import { escapeBytes, RespError } from "./resp-error.ts";
import { StreamBuffer } from "./stream-buffer.ts";

/** First byte of a reply, which is its type in RESP2. */
export const ReplyType = { simpleString: 43, error: 45, integer: 58, bulk: 36, array: 42 } as const;

/** Longest status or error line taken, in bytes. Servers write far shorter ones; scripts may make longer ones. */
const MAX_LINE_BYTES = 1024 * 1024;
/** Redis itself writes no array of more elements (a command has at most that many arguments). */
const MAX_ELEMENTS = 2 ** 31 - 1;
/** Size of the repeated template that `takeRun` compares with in one step, in bytes. */
const RUN_BYTES = 32 * 1024;
const MAX_DIGITS = 19;
const CR = 13;
const LF = 10;

export interface ReplyFramerOptions {
  /** Bytes of the largest bulk string taken. Default 512 MiB. */
  readonly maxBulkBytes?: number;
  /** Bytes of the largest top-level reply taken. Default 1 GiB. It bounds the memory in use to about four times this. */
  readonly maxReplyBytes?: number;
}

interface Run {
  readonly template: Buffer;
  readonly repeated: Buffer;
  readonly count: number;
}

/**
 * Finds the top-level replies of a RESP2 connection, as extents in one growing buffer.
 *
 *     replies = *( "\n" | reply )
 *     reply   = ( "+" | "-" ) line CRLF | ":" number CRLF | "$-1" CRLF | "*-1" CRLF
 *             | "$" number CRLF bytes CRLF | "*" number CRLF number*reply
 *
 * Bare newlines between top-level replies are skipped: a primary sends them while a PSYNC waits for its fork. RESP3 types are refused; a
 * connection gets them only if it asked for them. Nesting needs no stack: an array adds its length to the count of elements still owed.
 * Parsing goes on where it stopped, inside a large array or a long line too.
 */
export class ReplyFramer {
  buffer: Buffer;
  /** Extent of the reply in `buffer`. Holds after `next` returned true, until the next `push`, `next` or `takeRun`. */
  start = 0;
  end = 0;
  /** First byte of the reply: one of {@link ReplyType}. */
  type = 0;
  readonly #stream = new StreamBuffer();
  readonly #maxBulkBytes: number;
  readonly #maxReplyBytes: number;
  /** Stream position of `buffer[0]`. */
  #origin = 0;
  /** Begin of the first element that has not arrived whole. */
  #position = 0;
  /** Begin of the reply that `#position` is in. */
  #replyStart = 0;
  /** Elements that the reply still owes; 0 between replies. */
  #owed = 0;
  /** Bytes of the line at `#position` that are known to hold no line end. */
  #scanned = 0;
  #lineEnd = 0;
  #failure: RespError | undefined;
  #runs: Run[] = [];

  constructor(options: ReplyFramerOptions = {}) {
    this.buffer = this.#stream.bytes;
    this.#maxBulkBytes = options.maxBulkBytes ?? MAX_BULK_BYTES;
    this.#maxReplyBytes = Math.min(options.maxReplyBytes ?? MAX_COMMAND_BYTES, 2 ** 31 - 2 ** 26);
  }

  /** Copies the chunk; the caller may reuse it. */
  push(chunk: Uint8Array): void {
    const moved = this.#stream.append(chunk, this.#replyStart);
    this.buffer = this.#stream.bytes;
    this.#origin += moved;
    this.#position -= moved;
    this.#replyStart -= moved;
  }

  /** Bytes pushed that belong to no reply taken so far. */
  get pendingBytes(): number {
    return this.#stream.length - this.#replyStart;
  }

  /** Copy of the bytes that belong to no reply taken so far. */
  pending(): Buffer {
    return Buffer.from(this.buffer.subarray(this.#replyStart, this.#stream.length));
  }

  /**
   * Moves to the next whole top-level reply; false when it has not arrived yet.
   * @throws {RespError} what follows is not a RESP2 reply or is beyond a limit; from then on every call throws it.
   */
  next(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#owed === 0) {
      this.#skipNewlines();
      if (this.#position >= this.#stream.length) return false;
      this.#owed = 1;
    }
    while (this.#owed > 0) {
      if (!this.#readElement()) return false;
      if (this.#position - this.#replyStart > this.#maxReplyBytes) this.#failSize();
    }
    this.start = this.#replyStart;
    this.end = this.#position;
    this.type = this.buffer[this.start] ?? 0;
    this.#replyStart = this.#position;
    return true;
  }

  /**
   * Consumes up to `max` consecutive replies that equal `template`, one whole reply such as `+QUEUED\r\n`, and returns their number.
   * They are compared in blocks and cost no work each. A reply that has arrived in part ends the run.
   */
  takeRun(template: Buffer, max: number): number {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#owed === 0) this.#skipNewlines();
    const size = template.length;
    const limit = Math.min(max, Math.floor((this.#stream.length - this.#replyStart) / size));
    if (limit <= 0) return 0;
    const run = this.#runOf(template);
    let taken = 0;
    let step = 1;
    let growing = true;
    while (taken < limit && step > 0) {
      const count = Math.min(step, limit - taken, run.count);
      const at = this.#replyStart + taken * size;
      if (run.repeated.compare(this.buffer, at, at + count * size, 0, count * size) === 0) {
        taken += count;
        if (growing) step *= 2;
      } else {
        growing = false;
        step = count >> 1;
      }
    }
    if (taken === 0) return 0;
    this.#replyStart += taken * size;
    this.#position = this.#replyStart;
    this.#owed = 0;
    this.#scanned = 0;
    return taken;
  }

  #runOf(template: Buffer): Run {
    for (const known of this.#runs) if (known.template === template) return known;
    const count = Math.max(1, Math.floor(RUN_BYTES / template.length));
    const run = { template, repeated: Buffer.alloc(count * template.length, template), count };
    this.#runs = [run, ...this.#runs.slice(0, 3)];
    return run;
  }

  #skipNewlines(): void {
    let at = this.#position;
    while (at < this.#stream.length && this.buffer[at] === LF) at++;
    this.#position = at;
    this.#replyStart = at;
  }

  /** Consumes one element: a scalar, or the header of an array whose elements are then owed. */
  #readElement(): boolean {
    const at = this.#position;
    const length = this.#stream.length;
    if (at >= length) return false;
    const type = this.buffer[at];
    switch (type) {
      case ReplyType.simpleString:
      case ReplyType.error: {
        const end = this.#findLineEnd(at);
        return end > 0 && this.#finish(end, -1);
      }
      case ReplyType.integer: {
        this.#readNumber(at, Number.POSITIVE_INFINITY, "an integer");
        return this.#lineEnd > 0 && this.#finish(this.#lineEnd, -1);
      }
      case ReplyType.bulk: {
        const size = this.#readNumber(at, this.#maxBulkBytes, "a bulk length");
        if (this.#lineEnd === 0) return false;
        if (size === -1) return this.#finish(this.#lineEnd, -1);
        if (size < 0) this.#fail(at, "a bulk length of -1 or more");
        const close = this.#lineEnd + size;
        if (close + 2 - this.#replyStart > this.#maxReplyBytes) this.#failSize();
        if (close + 2 > length) return false;
        if (this.buffer[close] !== CR || this.buffer[close + 1] !== LF) this.#fail(close, "the line end of a bulk string");
        return this.#finish(close + 2, -1);
      }
      case ReplyType.array: {
        const count = this.#readNumber(at, MAX_ELEMENTS, "an array length");
        if (this.#lineEnd === 0) return false;
        if (count < -1) this.#fail(at, "an array length of -1 or more");
        return this.#finish(this.#lineEnd, Math.max(count, 0) - 1);
      }
      default:
        return this.#fail(at, "a reply (+ - : $ *)");
    }
  }

  #finish(position: number, owed: number): boolean {
    this.#position = position;
    this.#owed += owed;
    this.#scanned = 0;
    return true;
  }

  /** Position behind the line that begins at `at`, or 0 when it has not arrived whole. */
  #findLineEnd(at: number): number {
    const length = this.#stream.length;
    let end = at + this.#scanned;
    while (end < length && this.buffer[end] !== CR && this.buffer[end] !== LF) end++;
    this.#scanned = end - at;
    if (this.#scanned > MAX_LINE_BYTES) this.#fail(at, `a line of at most ${MAX_LINE_BYTES} bytes`);
    if (end >= length) return 0;
    if (this.buffer[end] === LF) this.#fail(end, "a carriage return before the line feed");
    if (end + 1 >= length) return 0;
    if (this.buffer[end + 1] !== LF) this.#fail(end, "a line feed after the carriage return");
    return end + 2;
  }

  /** Reads the number behind the type byte at `at`. `#lineEnd` becomes the position behind its line, or 0 when that has not arrived whole. */
  #readNumber(at: number, max: number, what: string): number {
    const buffer = this.buffer;
    const length = this.#stream.length;
    this.#lineEnd = 0;
    let position = at + 1;
    if (position >= length) return 0;
    const negative = buffer[position] === 45;
    if (negative) position++;
    const first = position;
    let value = 0;
    let byte = 0;
    for (; position < length; position++) {
      byte = buffer[position]!;
      const digit = byte - 48;
      if (digit < 0 || digit > 9) break;
      if ((value === 0 && position > first) || position - first >= MAX_DIGITS) this.#fail(at, what);
      value = value * 10 + digit;
      if (!negative && value > max) this.#fail(at, `${what} of at most ${max}`);
    }
    if (position === length) return 0;
    if (byte !== CR || position === first || (negative && value === 0)) this.#fail(at, what);
    if (position + 1 === length) return 0;
    if (buffer[position + 1] !== LF) this.#fail(at, `${what} that ends with a line feed`);
    this.#lineEnd = position + 2;
    return negative ? -value : value;
  }

  #failSize(): never {
    return this.#fail(this.#replyStart, `a reply of at most ${this.#maxReplyBytes} bytes`);
  }

  #fail(at: number, expected: string): never {
    this.#failure = new RespError(this.#origin + at, escapeBytes(this.buffer, at, this.#stream.length), expected);
    throw this.#failure;
  }
}
