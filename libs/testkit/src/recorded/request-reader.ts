/** Requests of a replica or a test are small; more than this is not one. */
const MAX_REQUEST_BYTES = 1024 * 1024;

/**
 * Cuts what a client sends into commands: RESP arrays of bulk strings, or inline commands (redis.io, "Redis serialization
 * protocol specification"). Independent of Sluice's own framer, which is tested against servers that use this one.
 */
export class RequestReader {
  #pending: Buffer = Buffer.alloc(0);

  /**
   * The commands that are complete now.
   *
   * @throws Error for something that is no command; the reader must not be used after that
   */
  push(chunk: Buffer): string[][] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const requests: string[][] = [];
    for (;;) {
      const found = parseRequest(this.#pending);
      if (found === undefined) break;
      this.#pending = this.#pending.subarray(found.end);
      if (found.args.length > 0) requests.push(found.args);
    }
    if (this.#pending.length > MAX_REQUEST_BYTES) throw new Error(`a request is longer than ${MAX_REQUEST_BYTES} bytes`);
    return requests;
  }
}

function parseRequest(bytes: Buffer): { args: string[]; end: number } | undefined {
  const first = readLine(bytes, 0);
  if (first === undefined) return undefined;
  if (!first.text.startsWith("*")) return { args: first.text.split(" ").filter((word) => word !== ""), end: first.end };
  const count = lengthOf(first.text, "*");
  const args: string[] = [];
  let position = first.end;
  for (let index = 0; index < count; index++) {
    const header = readLine(bytes, position);
    if (header === undefined) return undefined;
    const end = header.end + lengthOf(header.text, "$");
    if (bytes.length < end + 2) return undefined;
    args.push(bytes.toString("latin1", header.end, end));
    position = end + 2;
  }
  return { args, end: position };
}

function readLine(bytes: Buffer, from: number): { text: string; end: number } | undefined {
  const newline = bytes.indexOf(0x0a, from);
  if (newline < 0) return undefined;
  const end = bytes[newline - 1] === 0x0d ? newline - 1 : newline;
  return { text: bytes.toString("latin1", from, Math.max(from, end)), end: newline + 1 };
}

function lengthOf(line: string, mark: "*" | "$"): number {
  const length = /^.(\d{1,7})$/.exec(line)?.[1];
  if (!line.startsWith(mark) || length === undefined)
    throw new Error(`expected "${mark}<length>", got ${JSON.stringify(line)}`);
  return Number(length);
}
