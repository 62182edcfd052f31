import { ReplyType } from "./reply-framer.ts";
import { escapeBytes, RespError } from "./resp-error.ts";

/** A decoded RESP2 reply. Simple strings are strings, bulk strings Buffers, integers bigint where a number would not be exact. */
export type Reply = string | Buffer | number | bigint | null | ReplyError | Reply[];

/** Deepest nesting of arrays that is decoded. Redis' deepest replies (COMMAND, CLUSTER SHARDS, scripts' tables) nest under 20. */
const MAX_DEPTH = 128;

/** An error reply of a server. `message` is the whole line without the leading `-`. */
export class ReplyError extends Error {
  override readonly name = "ReplyError";
  /** First word of the line: `ERR`, `WRONGTYPE`, `MOVED`, `OOM`, `EXECABORT`. */
  readonly code: string;

  constructor(line: string) {
    super(line);
    const space = line.indexOf(" ");
    this.code = space < 0 ? line : line.slice(0, space);
  }
}

class ReplyReader {
  readonly #buffer: Buffer;
  readonly #end: number;
  position: number;

  constructor(buffer: Buffer, start: number, end: number) {
    this.#buffer = buffer;
    this.#end = end;
    this.position = start;
  }

  fail(expected: string): never {
    throw new RespError(this.position, escapeBytes(this.#buffer, this.position, this.#end), expected);
  }

  type(): number {
    if (this.position >= this.#end) this.fail("a whole reply");
    return this.#buffer[this.position] ?? 0;
  }

  /** Consumes a line and returns what stands between its type byte and its CRLF. */
  line(): string {
    const from = this.position + 1;
    const close = this.#lineClose();
    this.position = close + 2;
    return this.#buffer.toString("utf8", from, close);
  }

  integer(): number | bigint {
    const text = this.line();
    const value = Number(text);
    return Number.isSafeInteger(value) ? value : BigInt(text);
  }

  count(): number {
    return Number(this.line());
  }

  bulk(): Buffer | null {
    const size = this.count();
    if (size < 0) return null;
    const start = this.position;
    if (!(start + size + 2 <= this.#end)) this.fail("a whole bulk string");
    this.position = start + size + 2;
    return Buffer.from(this.#buffer.subarray(start, start + size));
  }

  /** Passes one whole element. */
  skip(): void {
    let owed = 1;
    while (owed-- > 0) {
      const type = this.type();
      if (type === ReplyType.array) owed += Math.max(this.count(), 0);
      else if (type === ReplyType.bulk) {
        const size = this.count();
        if (size >= 0) this.position += size + 2;
      } else this.position = this.#lineClose() + 2;
    }
  }

  #lineClose(): number {
    const close = this.#buffer.indexOf(13, this.position);
    if (close < 0 || close + 2 > this.#end) this.fail("a whole line");
    return close;
  }
}

function read(reader: ReplyReader, depth: number): Reply {
  const type = reader.type();
  switch (type) {
    case ReplyType.simpleString:
      return reader.line();
    case ReplyType.error:
      return new ReplyError(reader.line());
    case ReplyType.integer:
      return reader.integer();
    case ReplyType.bulk:
      return reader.bulk();
    case ReplyType.array: {
      if (depth >= MAX_DEPTH) reader.fail(`arrays nested at most ${MAX_DEPTH} deep`);
      const count = reader.count();
      if (count < 0) return null;
      const elements: Reply[] = [];
      for (let index = 0; index < count; index++) elements.push(read(reader, depth + 1));
      return elements;
    }
    default:
      return reader.fail("a reply (+ - : $ *)");
  }
}

/**
 * Decodes one reply whose extent a {@link ReplyFramer} gave. Bulk strings are copies. Errors are values here, inside arrays too.
 * @throws {RespError} the extent is not one whole reply; its position counts from the begin of `buffer`.
 */
export function decodeReply(buffer: Buffer, start: number, end: number): Reply {
  const reader = new ReplyReader(buffer, start, end);
  const reply = read(reader, 0);
  if (reader.position !== end) reader.fail("the end of the reply");
  return reply;
}

/**
 * Visits the error replies among the elements of an array reply, such as EXEC's, without decoding the others. `index` counts elements from 0;
 * an error's extent is its line with the leading `-`, without CRLF. Returns the number of elements, or -1 for a null array (an EXEC whose WATCH failed).
 * @throws {RespError} the extent is not one whole array reply.
 */
export function errorsInArray(
  buffer: Buffer,
  start: number,
  end: number,
  visit: (index: number, errorStart: number, errorEnd: number) => void,
): number {
  const reader = new ReplyReader(buffer, start, end);
  if (reader.type() !== ReplyType.array) reader.fail("an array reply");
  const count = reader.count();
  for (let index = 0; index < count; index++) {
    const from = reader.position;
    const isError = reader.type() === ReplyType.error;
    reader.skip();
    if (isError) visit(index, from, reader.position - 2);
  }
  if (reader.position !== end) reader.fail("the end of the array");
  return count;
}
