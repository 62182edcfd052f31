const UNITS = [
  { name: "h", ms: 3_600_000 },
  { name: "min", ms: 60_000 },
  { name: "s", ms: 1_000 },
] as const;

/** A span of time for people, in the two largest units that it has: `12 h`, `3 min 20 s`, `0 s`. */
export function formatSpan(spanMs: number): string {
  let left = Math.round(spanMs / 1_000) * 1_000;
  const parts: string[] = [];
  for (const { name, ms } of UNITS) {
    const count = Math.floor(left / ms);
    left -= count * ms;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.length === 0 ? "0 s" : parts.slice(0, 2).join(" ");
}
