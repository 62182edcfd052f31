import type { StreamSize } from "@sluice/bus";
import { expiryGraceMs, type LaneStatus, type PipelineStatus, type ShardStatus } from "@sluice/wire";
import { laneLag, type SourceView } from "../checkpoint/lane-lag.ts";
import { laneLabels, type KnownPipeline } from "../lifecycle/pipeline-book.ts";

const NO_COPY = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };

/** What the API shows of a pipeline; `stream` is null where there is none. `known.spec` must be there. */
export function statusOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
  stream: StreamSize | null,
): PipelineStatus {
  const spec = known.spec?.value;
  if (spec === undefined) throw new Error(`pipeline ${known.name} has no spec`);
  const shards = shardStatusesOf(known, sources);
  const lanes = laneStatusesOf(known, sources);
  const sampled = shards.map(({ id }) => sources.get(id)?.newest?.atMs ?? 0);
  const isEveryShardFresh = shards.every(({ id }) => sources.get(id)?.newest?.isFresh === true);
  return {
    name: known.name,
    state: known.state?.value.state ?? "created",
    desired: spec.desired,
    since: known.state?.value.since ?? spec.createdAt,
    reason: known.state?.value.reason ?? "accepted; no instance has taken it up yet",
    sampledAt: sampled.length === 0 ? 0 : Math.min(...sampled),
    drained: isEveryShardFresh && lanes.length > 0 && lanes.every(({ isDrained }) => isDrained),
    expiryGraceMs: expiryGraceMs(spec.pipeline),
    stream: { messages: stream?.messages ?? 0, bytes: stream?.bytes ?? 0, limitBytes: stream?.limitBytes ?? null },
    events: known.topology?.value.events ?? [],
    shards,
    lanes: lanes.map(({ status }) => status),
    checkpoint: known.checkpoint?.value ?? null,
    cutover: known.cutover?.value ?? null,
  };
}

function shardStatusesOf(known: KnownPipeline, sources: ReadonlyMap<string, SourceView>): ShardStatus[] {
  return (known.topology?.value.shards ?? []).map(({ id }) => {
    const seen = known.shards.get(id)?.value;
    const sample = sources.get(id)?.newest ?? null;
    return {
      id,
      instance: known.assignment?.value.shards[id] ?? null,
      phase: seen?.phase ?? "connecting",
      epoch: seen?.epoch ?? 0,
      term: seen?.term ?? 0,
      sourceOffset: sample?.isFresh === true ? sample.offset : null,
      storedOffset: seen?.storedOffset ?? 0,
      copied: seen?.copied ?? NO_COPY,
      commands: seen?.commands ?? 0,
      bytes: seen?.bytes ?? 0,
      retry: seen?.retry ?? null,
      halt: seen?.halt ?? null,
    };
  });
}

function laneStatusesOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
): { status: LaneStatus; isDrained: boolean }[] {
  return laneLabels(known).map(({ label, group, shardId, lane }) => {
    const seen = known.lanes.get(label)?.value;
    const lag = laneLag(seen ?? null, known.shards.get(shardId)?.value ?? null, sources.get(shardId) ?? null);
    const status = {
      group,
      shard: shardId,
      lane,
      instance: known.assignment?.value.lanes[label] ?? null,
      phase: seen?.phase ?? "snap",
      epoch: seen?.epoch ?? 0,
      appliedOffset: seen?.offset ?? 0,
      sequence: seen?.sequence ?? 0,
      keys: seen?.keys ?? 0,
      units: seen?.units ?? 0,
      bytes: seen?.bytes ?? 0,
      transactions: seen?.transactions ?? 0,
      stale: seen?.stale ?? 0,
      repairedKeys: seen?.repairedKeys ?? 0,
      skippedErrors: seen?.skippedErrors ?? 0,
      lagBytes: lag.bytes,
      lagSeconds: lag.seconds,
      retry: seen?.retry ?? null,
      halt: seen?.halt ?? null,
    };
    return { status, isDrained: lag.isDrained };
  });
}
