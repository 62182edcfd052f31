import type { FeedStatus, GroupStatus, PipelineStatus } from "@sluice/wire";
import { formatBytes, formatCount, formatSeconds } from "./quantity.ts";
import { table } from "./table.ts";

/** More lines than that are no live view any more: those that are furthest behind are shown. */
const MAX_LINES = 12;

type Progress = Omit<FeedStatus, "shard">;

/** Copy, rates and lag of each writer group, and of each source shard in it where there are several. */
export function progressTable({ groups }: PipelineStatus): string {
  if (groups.length === 0) return "";
  const rows = groups.flatMap((group) => [
    [group.group, ...cells(group)],
    ...(group.shards.length < 2 ? [] : group.shards.map((feed) => [`  ${feed.shard}`, ...cells(feed)])),
  ]);
  return table([["GROUP", "COPIED", "KEYS/S", "UNITS/S", "BYTES/S", "LAG", "", "DONE IN"], ...rows], [2, 3, 4, 5, 6, 7]);
}

/** `main.s0  1 200 units/s · 34 kB/s · lag 200 B, 0.3 s`: a line for each shard in each group, those of the largest lag where there are many. */
export function rateLines(groups: readonly GroupStatus[]): string[] {
  const feeds = groups.flatMap(({ group, shards }) => shards.map((feed) => ({ name: `${group}.${feed.shard}`, feed })));
  if (feeds.length < 2) return [];
  const shown = feeds.length <= MAX_LINES ? feeds : feeds.toSorted(furthestBehind).slice(0, MAX_LINES - 1);
  const width = Math.max(...shown.map(({ name }) => name.length));
  const lines = shown.map(({ name, feed }) => `  ${name.padEnd(width)}  ${ratesOf(feed)}`);
  return shown.length === feeds.length ? lines : [...lines, `  and ${feeds.length - shown.length} more that are closer`];
}

function furthestBehind(one: { feed: FeedStatus }, other: { feed: FeedStatus }): number {
  const rank = ({ isCopied, lagSeconds }: FeedStatus): number => (isCopied ? (lagSeconds ?? 0) : Number.MAX_VALUE);
  return rank(other.feed) - rank(one.feed);
}

function ratesOf(feed: Progress): string {
  const parts: string[] = [];
  if (!feed.isCopied) parts.push(`copied ${copied(feed)}`);
  if (!feed.isCopied && feed.keysPerSecond !== null) parts.push(`${formatCount(feed.keysPerSecond)} keys/s`);
  if (feed.isCopied && feed.unitsPerSecond !== null) parts.push(`${formatCount(feed.unitsPerSecond)} units/s`);
  if (feed.bytesPerSecond !== null) parts.push(`${formatBytes(feed.bytesPerSecond)}/s`);
  const lag = [
    feed.lagBytes === null ? null : formatBytes(feed.lagBytes),
    feed.lagSeconds === null ? null : formatSeconds(feed.lagSeconds),
  ].filter((part) => part !== null);
  if (lag.length > 0) parts.push(`lag ${lag.join(", ")}`);
  if (feed.etaSeconds !== null && feed.etaSeconds > 0) parts.push(`done in ${formatSeconds(feed.etaSeconds)}`);
  return parts.join(" · ");
}

function cells(progress: Progress): string[] {
  const { keysPerSecond, unitsPerSecond, bytesPerSecond, lagBytes, lagSeconds, etaSeconds } = progress;
  return [
    progress.isCopied ? `all ${formatCount(progress.keys)}` : copied(progress),
    keysPerSecond === null ? "?" : formatCount(keysPerSecond),
    unitsPerSecond === null ? "?" : formatCount(unitsPerSecond),
    bytesPerSecond === null ? "?" : formatBytes(bytesPerSecond),
    lagBytes === null ? "?" : formatBytes(lagBytes),
    lagSeconds === null ? "" : formatSeconds(lagSeconds),
    etaSeconds === null ? "?" : etaSeconds === 0 ? "" : formatSeconds(etaSeconds),
  ];
}

function copied({ keys, expectedKeys }: Progress): string {
  return expectedKeys > 0 ? `${formatCount(keys)} of ${formatCount(expectedKeys)}` : formatCount(keys);
}
