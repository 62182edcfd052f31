import { z } from "zod";

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/;

const EXPECTED = "expected a duration such as 30s, 720m or 12h, at most 36500d";
/** 100 years: sums with wall clocks stay exact. */
const LONGEST_MS = 36_500 * UNIT_MS.d;

/** `720m`, `20s`, `1.5h` in milliseconds, at most 36500 days; null when `text` is no duration. */
export function parseDuration(text: string): number | null {
  const fields = DURATION.exec(text);
  if (fields === null) return null;
  const durationMs = Math.round(Number(fields[1]) * UNIT_MS[fields[2] as keyof typeof UNIT_MS]);
  return durationMs <= LONGEST_MS ? durationMs : null;
}

/** A duration in a pipeline file, in milliseconds once read. A number is refused: it has no unit. */
export const durationSchema = z
  .string(EXPECTED)
  .regex(DURATION, EXPECTED)
  .transform((text, context) => {
    const durationMs = parseDuration(text);
    if (durationMs === null) {
      context.addIssue({ code: "custom", message: EXPECTED, input: text });
      return z.NEVER;
    }
    return durationMs;
  })
  .meta({ unit: "a duration: ms, s, m, h, d" });
