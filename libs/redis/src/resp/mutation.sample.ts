import type { Random } from "@sluice/testkit";

/** Numbers that stand for lengths and counts nobody should believe. */
const LENGTHS =
  "0 -0 1 -1 -2 00 01 +1 9 10 127 1000 65536 1048577 536870912 536870913 2147483646 2147483647 2147483648 9223372036854775807 99999999999999999999 1e3 0x1".split(
    " ",
  );
const BYTES = [0, 10, 13, 36, 42, 43, 45, 48, 57, 58, 127, 255];

/** Some bytes, changed in one place; and where: all before it is as it was. */
export interface Mutation {
  readonly bytes: Buffer;
  readonly from: number;
}

/** One change to a stream: bytes changed, lost, doubled, moved, put in, or a length that says something else. */
export function mutate(bytes: Buffer, random: Random): Mutation {
  const at = random.between(0, Math.max(0, bytes.length - 1));
  const length = random.between(1, 12);
  const spliced = (middle: Uint8Array, removed: number): Mutation => ({
    bytes: Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(at + removed)]),
    from: at,
  });
  switch (random.between(0, 6)) {
    case 0:
      return spliced(Buffer.from([random.chance(0.5) ? random.pick(BYTES) : random.between(0, 255)]), 1);
    case 1:
      return spliced(Buffer.alloc(0), length);
    case 2:
      return spliced(bytes.subarray(at, at + length), 0);
    case 3:
      return spliced(random.bytes(length), random.between(0, length));
    case 4:
      return { bytes: bytes.subarray(0, at), from: at };
    case 5: {
      const other = random.between(0, Math.max(0, bytes.length - 1));
      return spliced(bytes.subarray(other, other + length), length);
    }
    default:
      return otherLength(bytes, at, random);
  }
}

/** The first number behind `at` that follows a `$`, `*` or `:`, with another one in its place. */
function otherLength(bytes: Buffer, at: number, random: Random): Mutation {
  let start = at;
  while (start < bytes.length && ![36, 42, 58].includes(bytes[start]!)) start++;
  let end = start + 1;
  while (end < bytes.length && "-0123456789".includes(String.fromCharCode(bytes[end]!))) end++;
  return {
    bytes: Buffer.concat([bytes.subarray(0, start + 1), Buffer.from(random.pick(LENGTHS)), bytes.subarray(end)]),
    from: start + 1,
  };
}

/** The bytes in up to `most` + 1 chunks. */
export function* randomChunks(bytes: Buffer, random: Random, most = 8): Generator<Buffer> {
  const ends = Array.from({ length: random.between(0, most) }, () => random.between(0, bytes.length));
  let from = 0;
  for (const end of [...ends.toSorted((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(from, end);
    from = end;
  }
}
