/** `[########------------]  40 %`; `fraction` is cut to 0 … 1. */
export function bar(fraction: number, width = 24): string {
  const share = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0));
  const full = Math.floor(share * width);
  return `[${"#".repeat(full)}${"-".repeat(width - full)}] ${Math.floor(share * 100)
    .toString()
    .padStart(3)} %`;
}
