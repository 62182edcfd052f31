import { z } from "zod";

const UNIT_BYTES = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;
const SIZE = /^(\d{1,9}(?:\.\d{1,3})?)(B|[KMGT]i?B)$/;

const EXPECTED = "expected a size such as 500MB, 20GB or 4GiB, at most 8000TB";
/** What NATS and JavaScript both count exactly. */
const LARGEST_BYTES = 8e15;

/** `500MB`, `1.5GiB` in bytes, at most 8000 TB; null when `text` is no size. */
export function parseSize(text: string): number | null {
  const fields = SIZE.exec(text);
  if (fields === null) return null;
  const sizeBytes = Math.round(Number(fields[1]) * UNIT_BYTES[fields[2] as keyof typeof UNIT_BYTES]);
  return sizeBytes <= LARGEST_BYTES ? sizeBytes : null;
}

/** A size in a pipeline file, in bytes once read. A number is refused: it has no unit. */
export const sizeSchema = z
  .string(EXPECTED)
  .regex(SIZE, EXPECTED)
  .transform((text, context) => {
    const sizeBytes = parseSize(text);
    if (sizeBytes === null) {
      context.addIssue({ code: "custom", message: EXPECTED, input: text });
      return z.NEVER;
    }
    return sizeBytes;
  })
  .meta({ unit: "a size: B, KB … TB, KiB … TiB" });
