import { groupLaneLabel, type PipelineState, type SpecRecord, type TopologyRecord } from "@sluice/wire";

/** What a pipeline wants done: shard ids for ingest, `group.shard.lane` labels for writers. */
export interface WantedWork {
  readonly shards: readonly string[];
  readonly lanes: readonly string[];
}

/**
 * A stopped pipeline gives its shards up at once, its lanes only when the coordinator has seen that they are drained and wrote
 * the state `stopped`.
 */
export function wantedWork(
  spec: Pick<SpecRecord, "pipeline" | "desired">,
  topology: TopologyRecord,
  state: PipelineState | null,
): WantedWork {
  const isRunning = spec.desired === "running";
  const shards = isRunning ? topology.shards.map(({ id }) => id) : [];
  if (!isRunning && state === "stopped") return { shards, lanes: [] };
  const lanes = spec.pipeline.destinations.flatMap(({ group }) =>
    topology.shards.flatMap(({ id, lanes }) => Array.from({ length: lanes }, (_, lane) => groupLaneLabel(group, id, lane))),
  );
  return { shards, lanes };
}
