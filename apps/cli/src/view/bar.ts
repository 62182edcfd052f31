/** Letters of a bar at a terminal; elsewhere there are none. */
export const BAR_WIDTH = 24;

/** `[########------------]  40 %`, or `40 %` where `width` is 0; `fraction` is cut to 0 … 1. */
export function bar(fraction: number, width = BAR_WIDTH): string {
  const share = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0));
  if (width === 0) return `${Math.floor(share * 100)} %`;
  const full = Math.floor(share * width);
  return `[${"#".repeat(full)}${"-".repeat(width - full)}] ${Math.floor(share * 100)
    .toString()
    .padStart(3)} %`;
}
