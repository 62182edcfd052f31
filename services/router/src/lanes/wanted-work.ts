import {
  groupLaneLabel,
  isSameSource,
  lanesOf,
  SlotSet,
  type PipelineState,
  type SpecRecord,
  type TopologyRecord,
} from "@sluice/wire";

/** What a pipeline wants done: shard ids for ingest, `group.shard.lane` labels for writers. */
export interface WantedWork {
  readonly shards: readonly string[];
  readonly lanes: readonly string[];
}

/**
 * What runs by the wish of the operator:
 *
 *     running                             shards and lanes
 *     paused                              shards: what the source sends is stored
 *     stopped                             lanes, until the coordinator has seen that they are drained and wrote the state `stopped`
 *     created, checking, failed, cut-over nothing
 *
 * Where its source was edited nothing is read before the router has looked at the new one: the topology leads to the former.
 */
export function wantedWork(
  spec: Pick<SpecRecord, "pipeline" | "desired">,
  topology: TopologyRecord,
  state: PipelineState | null,
): WantedWork {
  const { desired } = spec;
  if (isFed(spec) && isElsewhere(spec, topology)) return { shards: [], lanes: [] };
  const shards = isFed(spec) ? topology.shards.map(({ id }) => id) : [];
  if (desired !== "running" && (desired !== "stopped" || state === "stopped")) return { shards, lanes: [] };
  const cut = lanesOfShards(topology);
  const lanes = spec.pipeline.destinations.flatMap(({ group }) => cut.map(({ id, lane }) => groupLaneLabel(group, id, lane)));
  return { shards, lanes };
}

/** Whether ingest reads the source of a pipeline, and the router follows it. */
export function isFed({ desired }: Pick<SpecRecord, "desired">): boolean {
  return desired === "running" || desired === "paused";
}

/** Whether the topology was seen of another source than the pipeline has now; one that does not say of which is taken for its own. */
export function isElsewhere({ pipeline }: Pick<SpecRecord, "pipeline">, { source }: Pick<TopologyRecord, "source">): boolean {
  return source !== undefined && !isSameSource(source, pipeline.source.url);
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
