import { decompressLzf } from "./lzf.ts";
import { ENCODING, INCOMPLETE, RdbCursor } from "./rdb-cursor.ts";
import { RdbError } from "./rdb-error.ts";

/**
 * Decodes the RDB string (plain, integer or LZF) that begins at `offset`. A plain string is a view of `bytes`, the others are new.
 * For a key of type string the raw value is such a string, whole.
 *
 * @throws RdbError with an offset in `bytes`: the string is cut off or malformed.
 */
export function rdbString(bytes: Buffer, offset = 0): Buffer {
  const cursor = new RdbCursor(bytes, offset);
  const string = readString(cursor);
  if (string === undefined) throw new RdbError("the string is cut off", bytes.length);
  return string;
}

/** As `rdbString`, at the cursor, which moves behind the string; undefined, and not moved, if the bytes end before. */
export function readString(cursor: RdbCursor): Buffer | undefined {
  const start = cursor.pos;
  const count = cursor.string();
  if (count === INCOMPLETE) return undefined;
  if (!cursor.has(count)) {
    cursor.pos = start;
    return undefined;
  }
  return readBody(cursor, count);
}

/** What stands behind a string header that the cursor has just read and that announced `count` bytes, which are all there. */
export function readBody(cursor: RdbCursor, count: number): Buffer {
  const string = decodeBody(cursor, count);
  cursor.pos += count;
  return string;
}

function decodeBody(cursor: RdbCursor, count: number): Buffer {
  const { bytes, pos, encoding } = cursor;
  if (encoding === ENCODING.raw) return bytes.subarray(pos, pos + count);
  if (encoding === ENCODING.int8) return Buffer.from(String(bytes.readInt8(pos)), "latin1");
  if (encoding === ENCODING.int16) return Buffer.from(String(bytes.readInt16LE(pos)), "latin1");
  if (encoding === ENCODING.int32) return Buffer.from(String(bytes.readInt32LE(pos)), "latin1");
  try {
    return decompressLzf(bytes.subarray(pos, pos + count), cursor.plainBytes);
  } catch (error) {
    if (error instanceof RdbError) throw new RdbError(error.reason, cursor.offset + error.offset);
    throw error;
  }
}
