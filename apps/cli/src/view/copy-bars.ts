import { bar, BAR_WIDTH } from "./bar.ts";
import type { ShardCopy } from "./pipeline-figures.ts";
import { formatBytes, formatCount } from "./quantity.ts";

/** More bars than that are no picture any more: the rest is counted. */
const MAX_BARS = 12;

/** How much of a copy there is: a bar, keys of expected, bytes of expected. */
export function copyBar(
  { keys, expectedKeys, bytes, expectedBytes, fraction, isDone }: Omit<ShardCopy, "id">,
  barWidth = BAR_WIDTH,
): string {
  if (isDone) return `${bar(1, barWidth)} · ${formatCount(keys)} keys, copied`;
  if (fraction === null) return `${bar(0, barWidth)} · the source has not begun to send`;
  const ofKeys = expectedKeys > 0 ? ` of ${formatCount(expectedKeys)}` : "";
  const ofBytes = expectedBytes > 0 ? ` of about ${formatBytes(expectedBytes)}` : "";
  return `${bar(fraction, barWidth)} · ${formatCount(keys)}${ofKeys} keys · ${formatBytes(bytes)}${ofBytes} read`;
}

/**
 * A line with a bar for each shard, in their order. Of many shards those are shown that are not copied yet, and the last line says
 * how many are not shown. `more` is appended to the line of a shard that is not copied yet.
 */
export function copyBars(
  copies: readonly ShardCopy[],
  more: (id: string) => string = () => "",
  barWidth = BAR_WIDTH,
): string[] {
  const running = copies.filter((copy) => !copy.isDone);
  const shown = copies.length <= MAX_BARS ? copies : running.slice(0, MAX_BARS);
  const width = Math.max(...shown.map(({ id }) => id.length));
  const lines = shown.map(
    (copy) => `  ${copy.id.padEnd(width)}  ${copyBar(copy, barWidth)}${copy.isDone ? "" : more(copy.id)}`,
  );
  const hidden = copies.length - shown.length;
  if (hidden > 0) lines.push(`  and ${hidden} more shards, ${copies.length - running.length} of ${copies.length} are copied`);
  return lines;
}
