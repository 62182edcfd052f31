import { RdbError } from "./rdb-error.ts";

/** A back reference of 3 bytes stands for at most 264, so more than 88 bytes out for one byte in is a lie. */
const MOST_OUT_PER_BYTE = 88;

/**
 * Decompresses `packed` (LZF, as in Redis lzf_d.c) to exactly `plainBytes` bytes. Nothing is allocated for a size that the input
 * can't produce.
 *
 * `block = literal | near | far`
 * · literal: `000nnnnn`, then n + 1 bytes to copy
 * · near: `nnnooooo oooooooo`, n = 1 to 6: n + 2 bytes from o + 1 bytes back (they may overlap what they produce)
 * · far: `111ooooo nnnnnnnn oooooooo`: n + 9 bytes from o + 1 bytes back
 *
 * @throws RdbError with an offset inside `packed`: it ends within a block, refers to before the output, or gives another size.
 */
export function decompressLzf(packed: Uint8Array, plainBytes: number): Buffer {
  if (plainBytes > packed.length * MOST_OUT_PER_BYTE) {
    throw new RdbError(`LZF: ${packed.length} bytes can't decompress to ${plainBytes}`, 0);
  }
  const plain = Buffer.allocUnsafe(plainBytes);
  let out = 0;
  let at = 0;
  while (at < packed.length) {
    const block = at;
    const control = packed[at++]!;
    if (control < 0x20) {
      const count = control + 1;
      if (at + count > packed.length) throw new RdbError("LZF: the input ends within a literal", block);
      if (out + count > plainBytes) throw tooLong(plainBytes, block);
      for (let left = count; left > 0; left--) plain[out++] = packed[at++]!;
      continue;
    }
    let count = (control >>> 5) + 2;
    if (at + (count === 9 ? 2 : 1) > packed.length) throw new RdbError("LZF: the input ends within a reference", block);
    if (count === 9) count += packed[at++]!;
    let from = out - (((control & 0x1f) << 8) | packed[at++]!) - 1;
    if (from < 0) throw new RdbError("LZF: a reference to before the output", block);
    if (out + count > plainBytes) throw tooLong(plainBytes, block);
    for (let left = count; left > 0; left--) plain[out++] = plain[from++]!;
  }
  if (out !== plainBytes) throw new RdbError(`LZF: ${out} bytes came out, ${plainBytes} were declared`, at);
  return plain;
}

function tooLong(plainBytes: number, block: number): RdbError {
  return new RdbError(`LZF: more bytes come out than the ${plainBytes} declared`, block);
}
