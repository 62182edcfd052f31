/** Bytes in DER (ITU-T X.690), as far as certificates need it. */
export const der = {
  sequence: (...parts: readonly Buffer[]): Buffer => element(0x30, Buffer.concat(parts)),
  set: (...parts: readonly Buffer[]): Buffer => element(0x31, Buffer.concat(parts)),
  /** Tag `[n]` around whole elements. */
  explicit: (tag: number, ...parts: readonly Buffer[]): Buffer => element(0xa0 + tag, Buffer.concat(parts)),
  /** Tag `[n]` in place of the element's own. */
  implicit: (tag: number, content: Buffer): Buffer => element(0x80 + tag, content),
  /** A positive number, most significant byte first. */
  integer: (bytes: Buffer): Buffer => element(0x02, (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.alloc(1), bytes])),
  boolean: (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0])),
  bits: (bytes: Buffer, unused = 0): Buffer => element(0x03, Buffer.concat([Buffer.from([unused]), bytes])),
  octets: (bytes: Buffer): Buffer => element(0x04, bytes),
  text: (text: string): Buffer => element(0x0c, Buffer.from(text)),
  /** To the second. */
  time: (atMs: number): Buffer =>
    element(
      0x18,
      Buffer.from(
        `${new Date(atMs)
          .toISOString()
          .replace(/\.\d+Z$/, "")
          .replace(/\D/g, "")}Z`,
      ),
    ),
  /** `2.5.29.17` */
  identifier: (text: string): Buffer => {
    const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
    return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
  },
};

function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  if (length < 0x100) return Buffer.from([0x81, length]);
  return Buffer.from([0x82, length >> 8, length & 0xff]);
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}
