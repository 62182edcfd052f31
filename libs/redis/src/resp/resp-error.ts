/** Longest piece of the offending bytes that an error quotes, in bytes. */
const QUOTED_BYTES = 32;

/** Bytes as printable ASCII: what is not printable is written as an escape (`\r`, `\n`, `\xHH`). */
export function escapeBytes(buffer: Buffer, start: number, end: number): string {
  let text = "";
  for (let at = start; at < Math.min(end, start + QUOTED_BYTES); at++) {
    const byte = buffer[at] ?? 0;
    if (byte === 13) text += String.raw`\r`;
    else if (byte === 10) text += String.raw`\n`;
    else if (byte === 92) text += "\\\\";
    else if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += String.raw`\x${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

/** Bytes that are not RESP, or RESP beyond a limit. The stream can't be followed past it. */
export class RespError extends Error {
  override readonly name = "RespError";
  /** Bytes of the stream before the offending ones, counted from the first byte that was pushed. */
  readonly position: number;
  /** At most 32 of the offending bytes, escaped. */
  readonly read: string;
  readonly expected: string;

  constructor(position: number, read: string, expected: string) {
    super(`expected ${expected} at byte ${position} of the stream, read "${read}"`);
    this.position = position;
    this.read = read;
    this.expected = expected;
  }
}
