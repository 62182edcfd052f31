import type { HaltRecord, LaneStatus, PipelineStatus, RetryRecord, ShardStatus } from "@sluice/wire";

/** A pipeline's figures over all its shards and lanes. */
export interface PipelineFigures {
  /** Keys of the copy that stand in the slowest group's destination, and how many the source said it had. */
  readonly keys: number;
  readonly expectedKeys: number;
  /** Bytes of the RDB read so far, and how many are expected; 0 where unknown. */
  readonly copyBytes: number;
  readonly expectedCopyBytes: number;
  /** Commands taken from the source's stream. */
  readonly commands: number;
  /** Of the slowest lane; null before there is one. */
  readonly lagBytes: number | null;
  readonly lagSeconds: number | null;
}

/** How far the copy of one shard is. */
export interface ShardCopy {
  readonly id: string;
  /** Every lane of the shard has passed the end of its copy. */
  readonly isDone: boolean;
  /** As in `PipelineFigures`. */
  readonly keys: number;
  readonly expectedKeys: number;
  readonly bytes: number;
  readonly expectedBytes: number;
  /** 0 … 1, by keys, or by bytes where nobody knows how many keys there are; null before the source sends. */
  readonly fraction: number | null;
}

/** Smallest and largest of some values; null where none is known. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

export function pipelineFigures(status: PipelineStatus): PipelineFigures {
  const { shards, lanes } = status;
  const live = lanes.filter((lane) => lane.phase === "live");
  return {
    keys: keysOfSlowest(lanes.filter((lane) => isOfEpoch(lane, shards))),
    expectedKeys: sum(shards.map((shard) => shard.copied.expectedKeys)),
    copyBytes: sum(shards.map((shard) => shard.copied.bytes)),
    expectedCopyBytes: sum(shards.map((shard) => shard.copied.expectedBytes)),
    commands: sum(shards.map((shard) => shard.commands)),
    lagBytes: rangeOf(live.map((lane) => lane.lagBytes))?.most ?? null,
    lagSeconds: rangeOf(live.map((lane) => lane.lagSeconds))?.most ?? null,
  };
}

/** One for each shard, in their order. */
export function shardCopies({ shards, lanes }: PipelineStatus): ShardCopy[] {
  return shards.map((shard) => {
    const own = lanes.filter((lane) => lane.shard === shard.id);
    const current = own.filter((lane) => lane.epoch === shard.epoch);
    const { expectedKeys, bytes, expectedBytes } = shard.copied;
    const keys = keysOfSlowest(current);
    return {
      id: shard.id,
      isDone: own.length > 0 && current.length === own.length && own.every((lane) => lane.phase === "live"),
      keys,
      expectedKeys,
      bytes,
      expectedBytes,
      fraction: fractionOf(keys, expectedKeys, bytes, expectedBytes),
    };
  });
}

/** What stopped a pipeline for good last, with the shard or lane it happened in; null when nothing did. */
export function haltOf(status: PipelineStatus): (HaltRecord & { readonly where: string }) | null {
  let newest: (HaltRecord & { readonly where: string }) | null = null;
  const parts = [
    ...status.shards.map(({ id, halt }) => ({ where: `source shard ${id}`, halt })),
    ...status.lanes.map((lane) => ({ where: `lane ${laneName(lane)}`, halt: lane.halt })),
  ];
  for (const { where, halt } of parts) if (halt !== null && halt.at > (newest?.at ?? -1)) newest = { ...halt, where };
  return newest;
}

/** What a pipeline waits for longest; null when it waits for nothing. */
export function retryOf(status: PipelineStatus): RetryRecord | null {
  let oldest: RetryRecord | null = null;
  for (const { retry } of [...status.shards, ...status.lanes])
    if (retry !== null && retry.since < (oldest?.since ?? Number.POSITIVE_INFINITY)) oldest = retry;
  return oldest;
}

export function laneName(lane: Pick<LaneStatus, "group" | "shard" | "lane">): string {
  return `${lane.group}.${lane.shard}.${lane.lane}`;
}

export function rangeOf(values: readonly (number | null)[]): Range | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : { least: Math.min(...known), most: Math.max(...known) };
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** See `ShardCopy`. */
export function fractionOf(keys: number, expectedKeys: number, bytes: number, expectedBytes: number): number | null {
  if (keys === 0 && bytes === 0) return null;
  if (expectedKeys > 0) return keys / expectedKeys;
  return expectedBytes > 0 ? bytes / expectedBytes : 0;
}

/** Whether what a lane has counted belongs to the copy that its shard is in, and not to one before. */
function isOfEpoch(lane: LaneStatus, shards: readonly ShardStatus[]): boolean {
  return shards.every((shard) => shard.id !== lane.shard || shard.epoch === lane.epoch);
}

/** Keys over all lanes of the group that has the fewest. */
function keysOfSlowest(lanes: readonly LaneStatus[]): number {
  const groups = new Map<string, number>();
  for (const lane of lanes) groups.set(lane.group, (groups.get(lane.group) ?? 0) + lane.keys);
  return groups.size === 0 ? 0 : Math.min(...groups.values());
}
