const MAGIC = Buffer.from("HYLL");
const HEADER_BYTES = 16;
const REGISTERS = 16_384;
const DENSE_BYTES = (REGISTERS * 6) / 8;

/**
 * The 16 384 registers of a HyperLogLog in either encoding, or undefined if the bytes are no HyperLogLog. Two that are equal
 * here count the same, whatever their encoding and their cached cardinality (Redis, hyperloglog.c: "HLL representation").
 */
export function hllRegisters(bytes: Buffer): Uint8Array | undefined {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 4).equals(MAGIC)) return undefined;
  const encoding = bytes[4];
  const body = bytes.subarray(HEADER_BYTES);
  if (encoding === 0) return dense(body);
  return encoding === 1 ? sparse(body) : undefined;
}

function dense(body: Buffer): Uint8Array | undefined {
  if (body.length < DENSE_BYTES) return undefined;
  const registers = new Uint8Array(REGISTERS);
  for (let index = 0; index < REGISTERS; index++) {
    const bit = index * 6;
    const at = bit >> 3;
    const pair = (body[at] ?? 0) | ((body[at + 1] ?? 0) << 8);
    registers[index] = (pair >> (bit & 7)) & 63;
  }
  return registers;
}

/** Opcodes: 00llllll zeros, 01llllll llllllll zeros, 1vvvvvll a value; lengths and values are stored less one. */
function sparse(body: Buffer): Uint8Array | undefined {
  const registers = new Uint8Array(REGISTERS);
  let index = 0;
  for (let at = 0; at < body.length; at++) {
    const opcode = body[at] ?? 0;
    if ((opcode & 0x80) !== 0) {
      const length = (opcode & 3) + 1;
      registers.fill(((opcode >> 2) & 31) + 1, index, index + length);
      index += length;
    } else if ((opcode & 0x40) === 0) {
      index += (opcode & 63) + 1;
    } else {
      index += (((opcode & 63) << 8) | (body[++at] ?? 0)) + 1;
    }
  }
  return index === REGISTERS ? registers : undefined;
}
