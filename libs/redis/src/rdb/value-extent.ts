import { INCOMPLETE } from "./rdb-cursor.ts";
import type { RdbCursor } from "./rdb-cursor.ts";
import { BYTES, END, LENGTH, MODULE_FIELDS, NEXT, REPEAT, REPEAT_DEPTH, STRING, TEXT_DOUBLE } from "./value-layout.ts";
import type { ValueLayout } from "./value-layout.ts";

/** Codes in front of what a module saved (Redis rdb.h, RDB_MODULE_OPCODE_*). */
const MODULE = { eof: 0, sint: 1, uint: 2, float: 3, double: 4, string: 5 } as const;

const MODULE_END = -2;

/**
 * Finds where a value ends without decoding it, across any cutting of the input.
 *
 * A layout is a small program; this class is what runs it. Between two calls of `advance` it remembers the step (`#at`), how many
 * repetitions are left at each depth (`#left`), and how many bytes of a string are still to be passed (`#skip`). What it can't
 * remember is half a header, so it stops in front of one (at most 19 bytes) and wants to see it again. Nothing is ever walked
 * twice, memory does not depend on the value, and a declared count or size costs nothing until its bytes arrive. It ends because
 * every repetition takes at least one byte.
 */
export class ValueExtent {
  #layout: ValueLayout = [END, 0];
  #at = 0;
  #skip = 0;
  #depth = 0;
  readonly #left = Array.from({ length: REPEAT_DEPTH }, () => 0);

  /** Starts a new value, forgetting any other. */
  begin(layout: ValueLayout): void {
    this.#layout = layout;
    this.#at = 0;
    this.#skip = 0;
    this.#depth = 0;
  }

  /**
   * Moves the cursor through the value. True: it stands behind the value. False: more bytes are needed; the next call must find
   * the cursor at the same byte of the file, with more behind it.
   *
   * @throws RdbError: not what the layout says.
   */
  advance(cursor: RdbCursor): boolean {
    const layout = this.#layout;
    const left = this.#left;
    const { bytes, end } = cursor;
    let at = this.#at;
    let pos = cursor.pos;
    let skip = this.#skip;
    for (;;) {
      if (skip > 0) {
        pos += skip;
        if (pos > end) return this.#pause(cursor, end, at, pos - end);
        skip = 0;
      }
      cursor.pos = pos;
      switch (layout[at]) {
        case STRING: {
          // Nearly all strings of large collections are short and plain.
          const first = bytes[pos]!;
          if (first < 0x40 && pos + first < end) {
            pos += 1 + first;
            at += 2;
            continue;
          }
          skip = cursor.string();
          break;
        }
        case LENGTH:
          skip = cursor.skipLength();
          break;
        case BYTES:
          skip = layout[at + 1]!;
          break;
        case TEXT_DOUBLE:
          skip = textDoubleBytes(cursor);
          break;
        case REPEAT: {
          const count = cursor.length();
          if (count === INCOMPLETE) return this.#pause(cursor, pos, at, 0);
          if (count > 0) left[this.#depth++] = count;
          pos = cursor.pos;
          at += count > 0 ? 2 : layout[at + 1]!;
          continue;
        }
        case NEXT:
          if (--left[this.#depth - 1]! > 0) {
            at -= layout[at + 1]!;
          } else {
            this.#depth--;
            at += 2;
          }
          continue;
        case MODULE_FIELDS:
          skip = moduleFieldBytes(cursor);
          if (skip === MODULE_END) skip = 0;
          else if (skip !== INCOMPLETE) at -= 2;
          break;
        default:
          this.#pause(cursor, pos, at, 0);
          return true;
      }
      if (skip === INCOMPLETE) return this.#pause(cursor, pos, at, 0);
      pos = cursor.pos;
      at += 2;
    }
  }

  #pause(cursor: RdbCursor, pos: number, at: number, skip: number): false {
    cursor.pos = pos;
    this.#at = at;
    this.#skip = skip;
    return false;
  }
}

function textDoubleBytes(cursor: RdbCursor): number {
  if (!cursor.has(1)) return INCOMPLETE;
  const count = cursor.bytes[cursor.pos++]!;
  return count < 253 ? count : 0;
}

/** Passes the code of one field and the header of its operand; the bytes left to pass, INCOMPLETE, or MODULE_END. */
function moduleFieldBytes(cursor: RdbCursor): number {
  const start = cursor.pos;
  const code = cursor.length();
  if (code === INCOMPLETE) return INCOMPLETE;
  let rest: number;
  if (code === MODULE.eof) return MODULE_END;
  else if (code === MODULE.sint || code === MODULE.uint) rest = cursor.skipLength();
  else if (code === MODULE.float) rest = 4;
  else if (code === MODULE.double) rest = 8;
  else if (code === MODULE.string) rest = cursor.string();
  else {
    cursor.pos = start;
    throw cursor.fail(`unknown code ${code} in what a module saved`);
  }
  if (rest === INCOMPLETE) cursor.pos = start;
  return rest;
}
