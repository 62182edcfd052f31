/** An error reply, as a value. */
export class SimError {
  /** The whole line without the minus. */
  readonly message: string;
  /** First word of the line: `ERR`, `WRONGTYPE`, `MOVED`. */
  readonly code: string;

  constructor(message: string) {
    this.message = message;
    const space = message.indexOf(" ");
    this.code = space < 0 ? message : message.slice(0, space);
  }
}

/** A decoded reply. Status replies are strings, bulk strings Buffers, integers bigint where a number would not be exact. */
export type SimReply = string | Buffer | number | bigint | null | SimError | SimReply[];

/** A reply in RESP2, one character for each byte (latin1). */
export type Encoded = string;

/** Refuses a command: the reply is the error `message`. Instances may be thrown many times. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

export const OK: Encoded = "+OK\r\n";
export const QUEUED: Encoded = "+QUEUED\r\n";
export const NIL: Encoded = "$-1\r\n";
export const NIL_ARRAY: Encoded = "*-1\r\n";
export const EMPTY: Encoded = "*0\r\n";
export const ZERO: Encoded = ":0\r\n";
export const ONE: Encoded = ":1\r\n";

export const WRONG_TYPE = new Refusal("WRONGTYPE Operation against a key holding the wrong kind of value");
export const NOT_INTEGER = new Refusal("ERR value is not an integer or out of range");
export const NOT_FLOAT = new Refusal("ERR value is not a valid float");
export const SYNTAX = new Refusal("ERR syntax error");
export const OVERFLOW = new Refusal("ERR increment or decrement would overflow");
export const NO_SUCH_KEY = new Refusal("ERR no such key");

export function status(text: string): Encoded {
  return `+${text}\r\n`;
}

export function integer(value: number | bigint): Encoded {
  return `:${value}\r\n`;
}

/** `text`: one character for each byte. */
export function bulk(text: string): Encoded {
  return `$${text.length}\r\n${text}\r\n`;
}

export function bulkOrNil(text: string | undefined): Encoded {
  return text === undefined ? NIL : bulk(text);
}

export function list(items: readonly Encoded[]): Encoded {
  return `*${items.length}\r\n${items.join("")}`;
}

export function bulks(items: Iterable<string>): Encoded {
  return list([...items].map(bulk));
}

export function failure(line: string): Encoded {
  return `-${line.replaceAll(/[\r\n]/g, " ")}\r\n`;
}

export function isFailure(reply: Encoded): boolean {
  return reply.charCodeAt(0) === 45;
}

/** The error line of a reply that is one, without minus and line end. */
export function failureText(reply: Encoded): string {
  return reply.slice(1, -2);
}

/** A decoded reply as text, one character for each byte: an error by its line, nil as `nil`, arrays by their items. */
export function textOf(reply: SimReply): string {
  if (reply instanceof SimError) return reply.message;
  if (Buffer.isBuffer(reply)) return reply.toString("latin1");
  if (Array.isArray(reply)) return reply.map(textOf).join(" ");
  return reply === null ? "nil" : String(reply);
}

export function decode(reply: Encoded): SimReply {
  return decodeAt(reply, { at: 0 });
}

function decodeAt(reply: Encoded, cursor: { at: number }): SimReply {
  const end = reply.indexOf("\r\n", cursor.at);
  const kind = reply[cursor.at];
  const line = reply.slice(cursor.at + 1, end);
  cursor.at = end + 2;
  if (kind === "+") return line;
  if (kind === "-") return new SimError(line);
  if (kind === ":") return Number.isSafeInteger(Number(line)) ? Number(line) : BigInt(line);
  const count = Number(line);
  if (count < 0) return null;
  if (kind === "$") {
    cursor.at += count + 2;
    return Buffer.from(reply.slice(cursor.at - count - 2, cursor.at - 2), "latin1");
  }
  const items: SimReply[] = [];
  for (let index = 0; index < count; index++) items.push(decodeAt(reply, cursor));
  return items;
}
