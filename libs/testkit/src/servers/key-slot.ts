/** Hash slots of a cluster. */
export const SLOTS = 16_384;

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc & 0xffff;
});

/** The slot of a key: CRC16 (XMODEM) of its hash tag if it has one that is not empty, see the cluster specification. */
export function keySlot(key: string | Buffer): number {
  const bytes = typeof key === "string" ? Buffer.from(key) : key;
  const open = bytes.indexOf(0x7b);
  const close = open < 0 ? -1 : bytes.indexOf(0x7d, open + 1);
  const [from, to] = close > open + 1 ? [open + 1, close] : [0, bytes.length];
  let crc = 0;
  for (let at = from; at < to; at++) crc = ((crc << 8) & 0xffff) ^ (TABLE[((crc >> 8) ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  return crc % SLOTS;
}

/** Slots of ranges such as `0-5460,5462,6000-6001`, in ascending order of the text. @throws RangeError for another text */
export function parseSlots(text: string): number[] {
  return text.split(",").flatMap((range) => {
    const [, first = "", last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === "" || from > to || to >= SLOTS) throw new RangeError(`not a range of slots: ${JSON.stringify(range)}`);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

/** The ranges of slots as CLUSTER ADDSLOTSRANGE wants them: first and last of each. */
export function slotRanges(slots: Iterable<number>): [first: number, last: number][] {
  const ranges: [number, number][] = [];
  for (const slot of [...slots].toSorted((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range?.[1] === slot - 1) range[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}
