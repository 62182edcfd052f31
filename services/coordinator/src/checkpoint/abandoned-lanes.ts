import { FIRST_COPY, parseGroupLaneLabel } from "@sluice/wire";
import { laneLabels, laneOf, lanesOfShards, type KnownPipeline } from "../lifecycle/pipeline-book.ts";

/** A lane that no shard has any more. */
export interface AbandonedLane {
  readonly shardId: string;
  readonly lane: number;
  /** Copies that may have been sent on it, in ascending order: the one that epochs begin with, and all that any record of its shard names. */
  readonly copies: readonly number[];
}

/**
 * Lanes that were read once and that the topology has no more: their slots went to other shards, and what is stored on them is
 * never continued. None is told before every lane of every group is live again in an epoch above its shard's floor: until then
 * what is stored is all that a person could look at if the new copy failed.
 */
export function abandonedLanes(known: KnownPipeline): AbandonedLane[] {
  const shards = known.topology?.value.shards ?? [];
  const hasSettled =
    shards.length > 0 &&
    shards.every(({ id, floor }) => (known.shards.get(id)?.value.epoch ?? 0) > floor) &&
    laneLabels(known).every(({ label, shardId }) => {
      const lane = laneOf(known, label)?.value;
      return lane?.phase === "live" && lane.epoch === known.shards.get(shardId)?.value.epoch;
    });
  if (!hasSettled) return [];
  const present = new Set(lanesOfShards(known).map(({ shardId, lane }) => `${shardId}.${lane}`));
  const abandoned = new Map<string, AbandonedLane>();
  for (const label of known.lanes.keys()) {
    const { shard: shardId, lane } = parseGroupLaneLabel(label);
    const key = `${shardId}.${lane}`;
    if (!present.has(key) && !abandoned.has(key)) abandoned.set(key, { shardId, lane, copies: copiesOf(known, shardId) });
  }
  return [...abandoned.values()];
}

function copiesOf({ shards, lanes }: KnownPipeline, shardId: string): number[] {
  const named = new Set([FIRST_COPY, ...(shards.get(shardId)?.value.copies ?? []).map(({ copy }) => copy)]);
  for (const [label, { value }] of lanes) if (parseGroupLaneLabel(label).shard === shardId) named.add(value.copy);
  return [...named].filter((copy) => copy >= FIRST_COPY).toSorted((a, b) => a - b);
}
