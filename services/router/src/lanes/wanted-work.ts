import { groupLaneLabel, lanesOf, SlotSet, type PipelineState, type SpecRecord, type TopologyRecord } from "@sluice/wire";

/** What a pipeline wants done: shard ids for ingest, `group.shard.lane` labels for writers. */
export interface WantedWork {
  readonly shards: readonly string[];
  readonly lanes: readonly string[];
}

/**
 * A stopped pipeline gives its shards up at once, its lanes only when the coordinator has seen that they are drained and wrote
 * the state `stopped`. One that is cut over has nothing left to do.
 */
export function wantedWork(
  spec: Pick<SpecRecord, "pipeline" | "desired">,
  topology: TopologyRecord,
  state: PipelineState | null,
): WantedWork {
  const isRunning = spec.desired === "running";
  const shards = isRunning ? topology.shards.map(({ id }) => id) : [];
  if (spec.desired === "cut-over" || (!isRunning && state === "stopped")) return { shards, lanes: [] };
  const cut = lanesOfShards(topology);
  const lanes = spec.pipeline.destinations.flatMap(({ group }) => cut.map(({ id, lane }) => groupLaneLabel(group, id, lane)));
  return { shards, lanes };
}

interface ShardLane {
  readonly id: string;
  readonly lane: number;
}

/** Cutting 16384 slots takes a while, and a topology seldom changes. */
const cutLanes = new WeakMap<TopologyRecord, readonly ShardLane[]>();

function lanesOfShards(topology: TopologyRecord): readonly ShardLane[] {
  const known = cutLanes.get(topology);
  if (known !== undefined) return known;
  const found = topology.shards.flatMap(({ id, slots }) =>
    lanesOf(SlotSet.parse(slots), topology.lanes).map((lane) => ({ id, lane })),
  );
  cutLanes.set(topology, found);
  return found;
}
