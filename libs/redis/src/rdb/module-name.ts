const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NAME_LENGTH = 9;
const VERSION_BITS = 10n;

/**
 * The name of the module type whose id (an RDB length in its 64-bit form) begins at `offset`: nine characters of six bits, above
 * ten bits of encoding version (Redis module.c, moduleTypeEncodeId). A raw value of type 7 begins with such an id.
 */
export function moduleName(bytes: Buffer, offset = 0): string {
  if (bytes[offset] !== 0x81 || bytes.length < offset + 9) return "?";
  let id = bytes.readBigUInt64BE(offset + 1) >> VERSION_BITS;
  let name = "";
  for (let at = 0; at < NAME_LENGTH; at++) {
    name = ALPHABET[Number(id & 63n)]! + name;
    id >>= 6n;
  }
  return name;
}
