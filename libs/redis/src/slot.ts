/** Hash slots of a cluster. */
export const SLOT_COUNT = 16384;

/** CRC16 as Redis Cluster uses it (XMODEM: polynomial 0x1021, start 0, no reflection; cluster specification, appendix A). */
const CRC16_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc & 0xffff;
});

/** CRC16 of the bytes in `[start, end)`. */
export function crc16(buffer: Uint8Array, start = 0, end = buffer.length): number {
  let crc = 0;
  for (let at = start; at < end; at++) crc = ((crc << 8) & 0xffff) ^ CRC16_TABLE[((crc >> 8) ^ buffer[at]!) & 0xff]!;
  return crc;
}

/**
 * Slot of the key in `[start, end)`. Only the hash tag counts where there is one: what stands between the first `{` and the first `}` behind it,
 * unless that is nothing (cluster specification, "Hash tags").
 */
export function keySlot(buffer: Uint8Array, start = 0, end = buffer.length): number {
  let crc = 0;
  for (let at = start; at < end; at++) {
    const byte = buffer[at]!;
    if (byte === 123) {
      let close = at + 1;
      while (close < end && buffer[close] !== 125) close++;
      if (close < end && close > at + 1) return crc16(buffer, at + 1, close) & (SLOT_COUNT - 1);
      return crc16(buffer, start, end) & (SLOT_COUNT - 1);
    }
    crc = ((crc << 8) & 0xffff) ^ CRC16_TABLE[((crc >> 8) ^ byte) & 0xff]!;
  }
  return crc & (SLOT_COUNT - 1);
}

const TAG_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
let tags: readonly string[] | undefined;

/** Tries the strings over the alphabet, shorter ones first, each length in alphabetical order, until every slot has one (3 characters do). */
function findTags(): readonly string[] {
  const found: string[] = Array.from({ length: SLOT_COUNT }, () => "");
  let missing = SLOT_COUNT;
  for (let prefixes = [""]; missing > 0;) {
    const longer: string[] = [];
    for (const prefix of prefixes) {
      for (const character of TAG_ALPHABET) {
        const tag = prefix + character;
        const slot = keySlot(Buffer.from(tag, "latin1"));
        if (found[slot] === "") {
          found[slot] = tag;
          missing--;
        }
        if (tag.length < 3) longer.push(tag);
      }
    }
    prefixes = longer;
  }
  return found;
}

/**
 * A string of 1 to 3 letters and digits whose slot is `slot`, the same in every version of this program: keys in destinations are named with it.
 * @throws {RangeError} `slot` is not an integer from 0 to 16383.
 */
export function slotTag(slot: number): string {
  tags ??= findTags();
  const tag = tags[slot];
  if (tag === undefined) throw new RangeError(`no slot ${slot}: slots go from 0 to ${SLOT_COUNT - 1}`);
  return tag;
}
