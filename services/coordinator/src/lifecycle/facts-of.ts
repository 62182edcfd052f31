import type { LaneRecord, ShardRecord } from "@sluice/wire";
import type { Stored } from "@sluice/bus";
import { laneLag, type SourceView } from "../checkpoint/lane-lag.ts";
import { laneLabels, type KnownPipeline } from "./pipeline-book.ts";
import type { LaneFacts, ShardFacts } from "./state.ts";

/**
 * What the records of a pipeline say, as `observeState` wants it.
 *
 * A halt or a retry that was written before the spec is what an earlier start ended with, and counts no more: every start and
 * stop writes the spec, and revisions grow over all records of the bucket.
 */
export function factsOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
): { shards: ShardFacts[]; lanes: LaneFacts[] } {
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
  return { shards, lanes };
}

function sinceStart<T extends ShardRecord | LaneRecord>(record: Stored<T> | undefined, since: number): T | null {
  if (record === undefined) return null;
  return record.revision > since ? record.value : { ...record.value, retry: null, halt: null };
}
