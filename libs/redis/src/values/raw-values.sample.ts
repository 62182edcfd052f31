/** Bytes from hexadecimal digits; blanks are ignored. */
export function hex(...digits: string[]): Buffer {
  return Buffer.from(digits.join("").replaceAll(" ", ""), "hex");
}

/** A string with its header, in the form of 32 bits. */
export function blob(bytes: Buffer): Buffer {
  const header = Buffer.of(0x80, 0, 0, 0, 0);
  header.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

/** A listpack of numbers from 0 to 127 and texts of up to 63 bytes. */
export function listpackOf(...elements: readonly (number | string)[]): Buffer {
  const body = elements.map((element) =>
    typeof element === "number"
      ? Buffer.of(element, 1)
      : Buffer.concat([Buffer.of(0x80 | element.length), Buffer.from(element), Buffer.of(element.length + 1)]),
  );
  const head = Buffer.alloc(6);
  const bytes = Buffer.concat([head, ...body, Buffer.of(0xff)]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(elements.length, 4);
  return bytes;
}

/** 16 bytes of an id whose parts are small. */
export function rawId(ms: number, seq: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(ms, 4);
  bytes.writeUInt32BE(seq, 12);
  return bytes;
}

/** A node of a stream with its key: entries of one field `f`, a deleted one where it has no value. */
export function streamNode(
  ms: number,
  entries: readonly (readonly [msAfter: number, seq: number, value: string | undefined])[],
): Buffer {
  const present = entries.filter(([, , value]) => value !== undefined).length;
  const listpack = listpackOf(
    present,
    entries.length - present,
    1,
    "f",
    0,
    ...entries.flatMap(([msAfter, seq, value]) => [value === undefined ? 3 : 2, msAfter, seq, value ?? "-", 4]),
  );
  return Buffer.concat([Buffer.of(16), rawId(ms, 0), blob(listpack)]);
}

/** The pending entries of a group: ids (ms) with the time of their delivery and how often. */
export function pendingOf(...entries: readonly (readonly [ms: number, atMs: number, deliveries: number])[]): Buffer {
  const records = entries.map(([ms, atMs, deliveries]) => {
    const time = Buffer.alloc(8);
    time.writeBigInt64LE(BigInt(atMs));
    return Buffer.concat([rawId(ms, 0), time, Buffer.of(deliveries)]);
  });
  return Buffer.concat([Buffer.of(entries.length), ...records]);
}

/** A consumer of a value with active times, and what it owns (ms). */
export function consumerOf(name: string, ...owned: readonly number[]): Buffer {
  return Buffer.concat([
    Buffer.of(name.length),
    Buffer.from(name),
    Buffer.alloc(16),
    Buffer.of(owned.length),
    ...owned.map((ms) => rawId(ms, 0)),
  ]);
}
