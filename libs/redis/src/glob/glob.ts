const STAR = 42;
const QUESTION = 63;
const OPEN = 91;
const CLOSE = 93;
const BACKSLASH = 92;
const CARET = 94;
const DASH = 45;

/** Tokens: 0 to 255 that byte, `ANY` one byte, `MANY` any number of bytes, from `CLASS` on one byte of that class. */
const ANY = 256;
const MANY = 257;
const CLASS = 258;

/**
 * A glob pattern as KEYS and SCAN MATCH take it, on bytes, letter case counting (Redis util.c, stringmatchlen).
 *
 *     *         any bytes, also none        [abc]  [a-z]  [z-a]   one byte of these
 *     ?         one byte                    [^a-z]                one byte that is none of these
 *     \x        the byte x itself           [\]]                  a class takes escapes, too
 *
 * A class that is not closed ends with the pattern, and a backslash at the end is one. A range counts bytes from 0 to 255; a
 * server whose `char` is signed differs in ranges with one end below 128 and one above.
 *
 * Redis tries every share of bytes for every star, and gives up a star's shares once what follows it is found nowhere. Since
 * everything else matches exactly one byte, it is enough to go back to the last star: no more steps than bytes times tokens.
 */
export class Glob {
  readonly #tokens: readonly number[];
  readonly #classes: readonly Uint8Array[];
  /** `*` alone: KEYS and SCAN do not even ask, so that it matches the empty key, which no other pattern does. */
  readonly #isAll: boolean;

  /** A text stands for its bytes in UTF-8. Every pattern means something: there are no malformed ones. */
  constructor(pattern: string | Buffer) {
    const bytes = typeof pattern === "string" ? Buffer.from(pattern) : pattern;
    const tokens: number[] = [];
    const classes: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte === STAR) {
        if (tokens.at(-1) !== MANY) tokens.push(MANY);
      } else if (byte === QUESTION) tokens.push(ANY);
      else if (byte === OPEN) {
        const { members, end } = readClass(bytes, at + 1);
        tokens.push(CLASS + classes.length);
        classes.push(members);
        at = end;
      } else if (byte === BACKSLASH && at + 1 < bytes.length) tokens.push(bytes[++at] as number);
      else tokens.push(byte);
    }
    this.#tokens = tokens;
    this.#classes = classes;
    this.#isAll = bytes.length === 1 && bytes[0] === STAR;
  }

  /** Whether the bytes of `[start, end)` match from their begin to their end. */
  matches(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const tokens = this.#tokens;
    if (this.#isAll) return true;
    if (start === end) return tokens.length === 0;
    let token = 0;
    let at = start;
    // Behind the last star, and where the bytes begin that follow its share.
    let starToken = -1;
    let starAt = 0;
    while (at < end) {
      if (tokens[token] === MANY) {
        starToken = ++token;
        starAt = at;
        if (token === tokens.length) return true;
      } else if (token < tokens.length && this.#takes(tokens[token] as number, bytes[at] as number)) {
        token++;
        at++;
      } else if (starToken < 0) return false;
      else {
        token = starToken;
        at = ++starAt;
      }
    }
    return token === tokens.length || (token === tokens.length - 1 && tokens[token] === MANY);
  }

  #takes(token: number, byte: number): boolean {
    return token === byte || token === ANY || (token >= CLASS && this.#classes[token - CLASS]?.[byte] === 1);
  }
}

/** `at`: behind the bracket. `end`: of the closing bracket, or of the pattern's last byte where there is none. */
function readClass(bytes: Buffer, at: number): { members: Uint8Array; end: number } {
  const isNot = bytes[at] === CARET;
  const members = new Uint8Array(256).fill(isNot ? 1 : 0);
  const member = isNot ? 0 : 1;
  let end = isNot ? at + 1 : at;
  for (; end < bytes.length && bytes[end] !== CLOSE; end++) {
    const byte = bytes[end] as number;
    if (byte === BACKSLASH && end + 1 < bytes.length) members[bytes[++end] as number] = member;
    else if (bytes[end + 1] === DASH && end + 2 < bytes.length) {
      const other = bytes[end + 2] as number;
      members.fill(member, Math.min(byte, other), Math.max(byte, other) + 1);
      end += 2;
    } else members[byte] = member;
  }
  return { members, end };
}
