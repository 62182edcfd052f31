/** What stands in a lane and is not a batch: names what was read and what was expected. The lane must stop (H45). */
export class BatchError extends Error {
  override readonly name = "BatchError";
}

const ARRAY = 0x90;
const MAX_NESTED_FIELDS = 3;

/**
 * Refuses, before anything is allocated for it, a message whose msgpack is other than a batch can be: one short array of
 * numbers, texts, bytes, booleans, nulls and short arrays of these. A declared length alone would make a decoder reserve memory
 * for it, and extension types would let a message construct objects. Throws `BatchError` with the offset.
 *
 * msgpack specification, "Formats": fixint 00-7f e0-ff, fixarray 90-9f, fixstr a0-bf, nil c0, bool c2-c3, bin c4-c6,
 * float ca-cb, uint cc-cf, int d0-d3, str d9-db. Maps, extensions and arrays of 16 and more fields are the rest.
 */
export function assertFlat(message: Buffer): void {
  const head = message[0] as number;
  if (!isShortArray(head)) throw new BatchError(`expected a msgpack array at 0, found byte ${hex(head)}`);
  let at = 1;
  for (let left = head - ARRAY; left > 0; left--) at = skipField(message, at, true);
  if (at !== message.length) throw new BatchError(`expected the end of the batch at ${at}, found ${message.length} bytes`);
}

function skipField(message: Buffer, at: number, mayNest: boolean): number {
  const token = message[at];
  if (token === undefined) throw new BatchError(`expected a field at ${at}, found the end of the message`);
  if (mayNest && isShortArray(token) && token - ARRAY <= MAX_NESTED_FIELDS) {
    let next = at + 1;
    for (let left = token - ARRAY; left > 0; left--) next = skipField(message, next, false);
    return next;
  }
  const bytes = fieldBytes(message, at, token);
  if (bytes === null) throw new BatchError(`expected a field of a batch at ${at}, found msgpack type ${hex(token)}`);
  if (at + bytes > message.length)
    throw new BatchError(`a field at ${at} says ${bytes} bytes, ${message.length - at} are there`);
  return at + bytes;
}

/** Bytes of the field at `at`, its token included; null where it is of no kind that a batch holds. */
function fieldBytes(message: Buffer, at: number, token: number): number | null {
  if (token <= 0x7f || token >= 0xe0) return 1;
  if (token >= 0xa0 && token <= 0xbf) return 1 + token - 0xa0;
  const fixed = FIXED_BYTES.get(token);
  if (fixed !== undefined) return fixed;
  const width = LENGTH_BYTES.get(token);
  if (width === undefined) return null;
  return at + 1 + width > message.length ? 1 + width : 1 + width + message.readUIntBE(at + 1, width);
}

const FIXED_BYTES = new Map([
  [0xc0, 1],
  [0xc2, 1],
  [0xc3, 1],
  [0xca, 5],
  [0xcb, 9],
  [0xcc, 2],
  [0xcd, 3],
  [0xce, 5],
  [0xcf, 9],
  [0xd0, 2],
  [0xd1, 3],
  [0xd2, 5],
  [0xd3, 9],
]);

/** Bytes of the length that follows the token of bytes and texts. */
const LENGTH_BYTES = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
]);

function isShortArray(token: number): boolean {
  return token >= ARRAY && token <= 0x9f;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
