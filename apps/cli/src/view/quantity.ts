const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** `1234567` as `1 234 567`: grouped by thousands, without digits behind the point. */
export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, " ");
}

/** Bytes in units of 1000: `512 B`, `1.2 kB`, `34 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ${UNITS[unit]}`;
}

/** Seconds for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A short time for people: `0.4 ms`, `12 ms`, from one second on as `formatSeconds`. */
export function formatMs(ms: number): string {
  if (ms >= 1_000) return formatSeconds(ms / 1000);
  return `${ms < 9.95 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}
