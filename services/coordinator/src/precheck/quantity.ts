const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** `300 B`, `1.5 MiB` */
export function bytesText(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = value >= 100 || unit === 0 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

/** `5 s`, `12 min`, `3.5 h` */
export function spanText(spanMs: number): string {
  const seconds = spanMs / 1000;
  if (seconds < 120) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return `${Number((seconds / 3600).toFixed(1))} h`;
}

/** At most `most` of the items, and how many more there are. */
export function listText(items: readonly string[], most = 12): string {
  const more = items.length - most;
  return more > 0 ? `${items.slice(0, most).join(", ")} and ${more} more` : items.join(", ");
}

/** `SET 12, GET 3`: commands with how often they were called, the most used first. */
export function callsText(calls: readonly (readonly [command: string, count: number])[]): string {
  return listText(calls.toSorted((a, b) => b[1] - a[1]).map(([command, count]) => `${command} ${count}`));
}
