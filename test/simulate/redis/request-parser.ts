const STAR = 42;
const DOLLAR = 36;
const LF = 10;
const CR = 13;
const ZERO = 48;
const NINE = 57;
const MAX_BULK_BYTES = 512 * 1024 * 1024;
const MAX_ARGUMENTS = 2 ** 31 - 1;

/** Bytes that are no request; Redis answers `-ERR Protocol error: …` and hangs up (networking.c). */
export class ProtocolFault extends Error {
  override readonly name = "ProtocolFault";
}

/**
 * Requests of a client, or the commands of a replication stream: arrays of bulk strings and inline commands (a line of words).
 * Arguments are text with one character for each byte.
 */
export class RequestParser {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #lineEnd = 0;

  push(chunk: Buffer): void {
    this.#bytes = this.#at === this.#bytes.length ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** The next whole request; null when it has not arrived yet. Empty requests are passed over. Throws `ProtocolFault`. */
  next(): string[] | null {
    while (this.#at < this.#bytes.length) {
      const args = this.#bytes[this.#at] === STAR ? this.#array() : this.#inline();
      if (args === null || args.length > 0) return args;
    }
    return null;
  }

  #array(): string[] | null {
    const bytes = this.#bytes;
    const count = this.#number(this.#at + 1);
    if (count === null) return null;
    if (!(count <= MAX_ARGUMENTS)) throw new ProtocolFault("invalid multibulk length");
    const args: string[] = [];
    let at = this.#lineEnd;
    for (let index = 0; index < count; index++) {
      if (at >= bytes.length) return null;
      if (bytes[at] !== DOLLAR) throw new ProtocolFault(`expected '$', got '${String.fromCharCode(bytes[at] ?? 0)}'`);
      const size = this.#number(at + 1);
      if (size === null) return null;
      if (!(size >= 0 && size <= MAX_BULK_BYTES)) throw new ProtocolFault("invalid bulk length");
      const start = this.#lineEnd;
      if (start + size + 2 > bytes.length) return null;
      args.push(bytes.toString("latin1", start, start + size));
      at = start + size + 2;
    }
    this.#at = at;
    return args;
  }

  #inline(): string[] | null {
    const end = this.#bytes.indexOf(LF, this.#at);
    if (end < 0) return null;
    const line = this.#bytes.toString("latin1", this.#at, end);
    this.#at = end + 1;
    return line.split(/\s+/).filter((word) => word !== "");
  }

  /** The number of a header line, NaN when it is none; null when the line has not arrived. Leaves `#lineEnd` behind the line. */
  #number(from: number): number | null {
    const bytes = this.#bytes;
    let at = from;
    let value = 0;
    for (let digit = bytes[at]; digit !== undefined && digit >= ZERO && digit <= NINE; digit = bytes[++at]) {
      value = value * 10 + digit - ZERO;
    }
    if (bytes[at] === CR && bytes[at + 1] === LF && at > from) {
      this.#lineEnd = at + 2;
      return value;
    }
    const end = bytes.indexOf(LF, from);
    if (end < 0) return null;
    this.#lineEnd = end + 1;
    const text = bytes.toString("latin1", from, end - 1);
    return /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  }
}
