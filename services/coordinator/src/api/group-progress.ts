import type { FeedStatus, GroupStatus, LaneStatus, ShardStatus } from "@sluice/wire";
import type { PipelineRates } from "../checkpoint/pipeline-rates.ts";

/** A lane this close to the source has caught up. */
const CAUGHT_UP_SECONDS = 3;

/** What each writer group has of the source, made of its lanes. `rates` is null where nobody measures. */
export function groupStatuses(
  groups: readonly string[],
  shards: readonly ShardStatus[],
  lanes: readonly LaneStatus[],
  rates: PipelineRates | null,
): Omit<GroupStatus, "evictedKeys" | "keptKeys" | "keptEntries" | "keptCommands" | "filteredCommands">[] {
  return groups.map((group) => {
    const feeds = shards.map((shard) =>
      feedOf(
        group,
        shard,
        lanes.filter((lane) => lane.group === group && lane.shard === shard.id),
        rates,
      ),
    );
    return { group, ...together(feeds), shards: feeds };
  });
}

function feedOf(group: string, shard: ShardStatus, lanes: readonly LaneStatus[], rates: PipelineRates | null): FeedStatus {
  const current = lanes.filter(({ epoch }) => epoch === shard.epoch && epoch > 0);
  const isCopied = shard.phase !== "copying" && current.length > 0 && lanes.every((lane) => isLive(lane, shard));
  const speed = rates?.feed(group, shard.id) ?? null;
  const keys = current.reduce((sum, lane) => sum + lane.keys, 0);
  const { expectedKeys } = shard.copied;
  const lagBytes = slowest(lanes.map((lane) => lane.lagBytes));
  const lagSeconds = slowest(lanes.map((lane) => lane.lagSeconds));
  const etaSeconds = isCopied
    ? secondsToCatchUp(lagBytes, lagSeconds, speed?.lag ?? null)
    : secondsToCopy(keys, expectedKeys, speed?.keys ?? null);
  return {
    shard: shard.id,
    keys,
    expectedKeys,
    isCopied,
    keysPerSecond: speed?.keys ?? null,
    unitsPerSecond: speed?.units ?? null,
    bytesPerSecond: speed?.bytes ?? null,
    lagBytes,
    lagSeconds,
    etaSeconds,
  };
}

function isLive(lane: LaneStatus, shard: ShardStatus): boolean {
  return lane.phase === "live" && lane.epoch === shard.epoch;
}

function secondsToCopy(keys: number, expectedKeys: number, keysPerSecond: number | null): number | null {
  if (keysPerSecond === null || keysPerSecond <= 0 || expectedKeys <= keys) return null;
  return (expectedKeys - keys) / keysPerSecond;
}

function secondsToCatchUp(lagBytes: number | null, lagSeconds: number | null, lagPerSecond: number | null): number | null {
  if (lagBytes === 0 || (lagSeconds !== null && lagSeconds < CAUGHT_UP_SECONDS)) return 0;
  if (lagBytes === null || lagPerSecond === null || lagPerSecond >= 0) return null;
  return lagBytes / -lagPerSecond;
}

function together(feeds: readonly FeedStatus[]): Omit<FeedStatus, "shard"> {
  return {
    keys: feeds.reduce((sum, feed) => sum + feed.keys, 0),
    expectedKeys: feeds.reduce((sum, feed) => sum + feed.expectedKeys, 0),
    isCopied: feeds.length > 0 && feeds.every((feed) => feed.isCopied),
    keysPerSecond: sumOf(feeds.map((feed) => feed.keysPerSecond)),
    unitsPerSecond: sumOf(feeds.map((feed) => feed.unitsPerSecond)),
    bytesPerSecond: sumOf(feeds.map((feed) => feed.bytesPerSecond)),
    lagBytes: slowest(feeds.map((feed) => feed.lagBytes)),
    lagSeconds: slowest(feeds.map((feed) => feed.lagSeconds)),
    etaSeconds: slowest(feeds.map((feed) => feed.etaSeconds)),
  };
}

/** The highest of all; null where one of them, which may be higher, is not known. */
function slowest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 || known.length < values.length ? null : Math.max(...known);
}

/** Of what is known; null where nothing is. */
function sumOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
}
