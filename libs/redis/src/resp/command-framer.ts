import { escapeBytes, RespError } from "./resp-error.ts";
import { StreamBuffer } from "./stream-buffer.ts";

/** Redis' default `proto-max-bulk-len`, in bytes: no client can have written a larger argument. */
export const MAX_BULK_BYTES = 512 * 1024 * 1024;
/** Redis' default `client-query-buffer-limit`, in bytes: no client can have sent a larger command. */
export const MAX_COMMAND_BYTES = 1024 * 1024 * 1024;
/** The largest argument count that Redis takes (networking.c, processMultibulkBuffer: INT_MAX). */
const MAX_ARGUMENTS = 2 ** 31 - 1;
/** `$0\r\n\r\n`, in bytes. */
const SMALLEST_ARGUMENT_BYTES = 6;
/** Digits of a number that fits 64 bits whatever they are; more of them are refused. */
const MAX_DIGITS = 18;
/** Extents are 32-bit, so no more than this may wait in the buffer. */
const MAX_PENDING_BYTES = 2 ** 31 - 1;
const IDLE_ARGUMENTS = 64;
const STAR = 42;
const DOLLAR = 36;
const MINUS = 45;
const ZERO = 48;
const CR = 13;
const LF = 10;

/** One command in RESP, by extents. `argStarts[i]` and `argLengths[i]` are positions in `buffer`; entries from `argc` on are meaningless. */
export interface FramedCommand {
  readonly buffer: Buffer;
  readonly argc: number;
  readonly argStarts: Int32Array;
  readonly argLengths: Int32Array;
}

export interface CommandFramerOptions {
  /** Bytes of the largest argument taken. Default {@link MAX_BULK_BYTES}. */
  readonly maxBulkBytes?: number;
  /** Bytes of the largest command taken, at most 2 GiB - 64 MiB. Default {@link MAX_COMMAND_BYTES}. It bounds the memory in use to about six times this. */
  readonly maxCommandBytes?: number;
  /** Replication offset before the first byte pushed. Default 0. */
  readonly offset?: number;
}

/**
 * Finds the commands of a replication stream, as extents in one growing buffer.
 *
 *     stream  = *( "\n" | empty | command )
 *     empty   = "*" ( "0" | "-" number ) CRLF        skipped as Redis does, counted in the offset
 *     command = "*" number CRLF number*( "$" number CRLF bytes CRLF )
 *
 * A bare newline is a keep-alive of a source that is itself a replica; it stands between commands only and is not counted in
 * the offset. Inline commands are refused: a primary sends none. Numbers are read as strictly as Redis does (string2ll: no plus, no leading
 * zero), line ends more strictly (Redis takes any two bytes), so a stream that has slipped is noticed at once.
 *
 * Between calls the parser stands at the first argument that has not arrived whole. A command that arrives in many chunks is
 * walked once, however often `next` is asked. Memory follows the bytes that have arrived, never the sizes that they announce.
 */
export class CommandFramer implements FramedCommand {
  buffer: Buffer;
  /** Extent of the raw command in `buffer`. This and all about arguments holds after `next` returned true, until the next `push` or `next`. */
  start = 0;
  end = 0;
  argc = 0;
  /** Bytes of `*<argc>\r\n`. */
  headerLength = 0;
  argStarts: Int32Array = new Int32Array(IDLE_ARGUMENTS);
  argLengths: Int32Array = new Int32Array(IDLE_ARGUMENTS);
  /** Replication offset behind the last command that `next` returned (and behind empty ones skipped since). */
  offset: number;
  /** Keep-alive newlines seen so far, in bytes. */
  skippedNewlines = 0;
  readonly #stream: StreamBuffer;
  readonly #maxBulkBytes: number;
  readonly #maxCommandBytes: number;
  /** Stream position of `buffer[0]`. */
  #origin = 0;
  /** Where parsing goes on: the begin of an argument when `#partial`, else between commands. */
  #position = 0;
  #argsRead = 0;
  #partial = false;
  #failure: RespError | undefined;
  /** Result of `#readNumber` beside its return value: the position behind the line. */
  #lineEnd = 0;

  /** `whole`: commands that are all there, framed in place; nothing is pushed behind them. */
  constructor(options: CommandFramerOptions = {}, whole?: Buffer) {
    this.#stream = new StreamBuffer(whole);
    this.buffer = this.#stream.bytes;
    this.#maxBulkBytes = options.maxBulkBytes ?? MAX_BULK_BYTES;
    this.#maxCommandBytes = Math.min(options.maxCommandBytes ?? MAX_COMMAND_BYTES, 2 ** 31 - 2 ** 26);
    this.offset = options.offset ?? 0;
  }

  /** Copies the chunk; the caller may reuse it. Call `next` until it returns false before the next push, or memory grows. */
  push(chunk: Uint8Array): void {
    const keepFrom = this.#partial ? this.start : this.#position;
    if (this.#stream.length - keepFrom + chunk.length > MAX_PENDING_BYTES)
      throw new RangeError("push without taking the commands that had arrived");
    const moved = this.#stream.append(chunk, keepFrom);
    this.buffer = this.#stream.bytes;
    if (moved === 0) return;
    this.#origin += moved;
    this.#position -= moved;
    if (!this.#partial) {
      if (this.argStarts.length > IDLE_ARGUMENTS * 64) this.#resizeArguments(IDLE_ARGUMENTS);
      return;
    }
    this.start -= moved;
    for (let index = 0; index < this.#argsRead; index++) this.argStarts[index] = (this.argStarts[index] ?? 0) - moved;
  }

  /** Bytes pushed that belong to no command returned so far. */
  get pendingBytes(): number {
    return this.#stream.length - (this.#partial ? this.start : this.#position);
  }

  /**
   * Moves to the next whole command; false when it has not arrived yet.
   * @throws {RespError} what follows is not a command or is beyond a limit; from then on every call throws it.
   */
  next(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#partial && !this.#readHeader()) return false;
    return this.#readArguments();
  }

  argStart(index: number): number {
    return this.argStarts[index] ?? 0;
  }

  argEnd(index: number): number {
    return (this.argStarts[index] ?? 0) + (this.argLengths[index] ?? 0);
  }

  #readHeader(): boolean {
    const buffer = this.buffer;
    const length = this.#stream.length;
    let at = this.#position;
    for (;;) {
      while (at < length && buffer[at] === LF) {
        at++;
        this.skippedNewlines++;
      }
      this.#position = at;
      if (at >= length) return false;
      if (buffer[at] !== STAR) this.#fail(at, "a command (*) or a keep-alive newline");
      const count = this.#readNumber(at + 1, MAX_ARGUMENTS, "an argument count");
      if (this.#lineEnd === 0) return false;
      if (count > 0) {
        if (count > this.#maxCommandBytes / SMALLEST_ARGUMENT_BYTES)
          this.#fail(at, `a command of at most ${this.#maxCommandBytes} bytes`);
        this.start = at;
        this.argc = count;
        this.headerLength = this.#lineEnd - at;
        this.#position = this.#lineEnd;
        this.#argsRead = 0;
        this.#partial = true;
        return true;
      }
      this.offset += this.#lineEnd - at;
      at = this.#lineEnd;
    }
  }

  #readArguments(): boolean {
    const buffer = this.buffer;
    const length = this.#stream.length;
    const argc = this.argc;
    let at = this.#position;
    let index = this.#argsRead;
    let starts = this.argStarts;
    let lengths = this.argLengths;
    for (; index < argc; index++) {
      if (at >= length) break;
      if (buffer[at] !== DOLLAR) this.#fail(at, `argument ${index + 1} of ${argc} ($)`);
      let size: number;
      let body: number;
      const digit = at + 1 < length ? buffer[at + 1]! - ZERO : -1;
      // The most frequent forms, `$d\r\n` and `$dd\r\n`, without the general number reader.
      if (digit >= 0 && digit <= 9 && at + 3 < length && buffer[at + 2] === CR && buffer[at + 3] === LF) {
        size = digit;
        body = at + 4;
      } else {
        size = this.#readNumber(at + 1, this.#maxBulkBytes, "an argument length");
        if (this.#lineEnd === 0) break;
        if (size < 0) this.#fail(at, "an argument length of 0 or more");
        body = this.#lineEnd;
      }
      const close = body + size;
      if (close + 2 - this.start > this.#maxCommandBytes) this.#fail(at, `a command of at most ${this.#maxCommandBytes} bytes`);
      if (close + 2 > length) {
        if (close < length && buffer[close] !== CR) this.#fail(close, "the line end of an argument");
        break;
      }
      if (buffer[close] !== CR || buffer[close + 1] !== LF) this.#fail(close, "the line end of an argument");
      if (index === starts.length) {
        this.#resizeArguments(index * 2);
        starts = this.argStarts;
        lengths = this.argLengths;
      }
      starts[index] = body;
      lengths[index] = size;
      at = close + 2;
    }
    this.#position = at;
    this.#argsRead = index;
    if (index < argc) return false;
    this.end = at;
    this.offset += at - this.start;
    this.#partial = false;
    return true;
  }

  /** Reads `<number>\r\n`. `#lineEnd` becomes the position behind it, or 0 when the line has not arrived whole. */
  #readNumber(from: number, max: number, what: string): number {
    const buffer = this.buffer;
    const length = this.#stream.length;
    this.#lineEnd = 0;
    let at = from;
    if (at >= length) return 0;
    const negative = buffer[at] === MINUS;
    if (negative) at++;
    const first = at;
    let value = 0;
    let byte = 0;
    for (; at < length; at++) {
      byte = buffer[at]!;
      const digit = byte - ZERO;
      if (digit < 0 || digit > 9) break;
      if ((value === 0 && at > first) || at - first >= MAX_DIGITS) this.#fail(from - 1, what);
      value = value * 10 + digit;
      if (!negative && value > max) this.#fail(from - 1, `${what} of at most ${max}`);
    }
    if (at === length) return 0;
    if (byte !== CR || at === first || (negative && value === 0)) this.#fail(from - 1, what);
    if (at + 1 === length) return 0;
    if (buffer[at + 1] !== LF) this.#fail(from - 1, `${what} that ends with a line feed`);
    this.#lineEnd = at + 2;
    return negative ? -value : value;
  }

  #resizeArguments(capacity: number): void {
    const starts = new Int32Array(capacity);
    const lengths = new Int32Array(capacity);
    if (this.#partial) {
      starts.set(this.argStarts);
      lengths.set(this.argLengths);
    }
    this.argStarts = starts;
    this.argLengths = lengths;
  }

  #fail(at: number, expected: string): never {
    this.#failure = new RespError(this.#origin + at, escapeBytes(this.buffer, at, this.#stream.length), expected);
    throw this.#failure;
  }
}
