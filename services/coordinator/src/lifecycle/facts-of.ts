import type { LaneRecord, ShardRecord } from "@sluice/wire";
import type { Stored } from "@sluice/bus";
import { laneLag, type SourceView } from "../checkpoint/lane-lag.ts";
import { laneLabels, type KnownPipeline } from "./pipeline-book.ts";
import type { LaneFacts, ShardFacts, WatchFacts } from "./state.ts";

/**
 * What the records of a pipeline say, as `observeState` wants it.
 *
 * A halt or a retry that was written before the spec is what an earlier start ended with, and counts no more: every start and
 * stop writes the spec, and revisions grow over all records of the bucket. What the router says names the spec that it speaks of.
 */
export function factsOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
): { shards: ShardFacts[]; lanes: LaneFacts[]; watches: WatchFacts[] } {
  const since = known.spec?.revision ?? 0;
  const shards = (known.topology?.value.shards ?? []).map(({ id, floor }) => ({
    id,
    floor,
    owner: known.assignment?.value.shards[id] ?? null,
    seen: sinceStart(known.shards.get(id), since),
  }));
  const lanes = laneLabels(known).map(({ label, shardId }) => ({
    label,
    owner: known.assignment?.value.lanes[label] ?? null,
    seen: sinceStart(known.lanes.get(label), since),
    lagSeconds: laneLag(
      known.lanes.get(label)?.value ?? null,
      known.shards.get(shardId)?.value ?? null,
      sources.get(shardId) ?? null,
    ).seconds,
  }));
  const watches = [...known.watches.values()]
    .filter(({ value }) => value.spec >= since)
    .map(({ value: { retry, halt } }) => ({ retry, halt }));
  return { shards, lanes, watches };
}

function sinceStart<T extends ShardRecord | LaneRecord>(record: Stored<T> | undefined, since: number): T | null {
  if (record === undefined) return null;
  return record.revision > since ? record.value : { ...record.value, retry: null, halt: null };
}
