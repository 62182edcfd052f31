import type { RecordChange, Stored } from "@sluice/bus";
import { systemClock, type Clock } from "@sluice/runtime";
import {
  assignmentRecord,
  checkpointRecord,
  cutoverRecord,
  destinationRecord,
  eventsRecord,
  groupLaneLabel,
  laneRecord,
  lanesOf,
  memoryRecord,
  parseGroupLaneLabel,
  precheckRecord,
  routerRecord,
  shardRecord,
  SlotSet,
  specRecord,
  stateRecord,
  topologyRecord,
  windowsRecord,
  type AssignmentRecord,
  type CheckpointRecord,
  type CutoverRecord,
  type DestinationRecord,
  type EventsRecord,
  type LaneRecord,
  type MemoryRecord,
  type PrecheckRecord,
  type RouterRecord,
  type ShardRecord,
  type SpecRecord,
  type StateRecord,
  type TopologyRecord,
  type WindowsRecord,
} from "@sluice/wire";

/** All records of one pipeline as they were last seen; null where there is none. */
export interface KnownPipeline {
  readonly name: string;
  spec: Stored<SpecRecord> | null;
  state: Stored<StateRecord> | null;
  topology: Stored<TopologyRecord> | null;
  assignment: Stored<AssignmentRecord> | null;
  checkpoint: Stored<CheckpointRecord> | null;
  cutover: Stored<CutoverRecord> | null;
  precheck: Stored<PrecheckRecord> | null;
  windows: Stored<WindowsRecord> | null;
  events: Stored<EventsRecord> | null;
  memory: Stored<MemoryRecord> | null;
  /** What the router says of its watches: by `source` and `destination.<group>`. */
  readonly watches: Map<string, Stored<RouterRecord>>;
  /** Nodes of the destinations, by group. */
  readonly destinations: Map<string, Stored<DestinationRecord>>;
  /** By shard id. */
  readonly shards: Map<string, Stored<ShardRecord>>;
  /** By `group.shard.lane`. */
  readonly lanes: Map<string, HeardLane>;
}

/** What a lane said last, and when that was heard here (monotonic). */
export interface HeardLane extends Stored<LaneRecord> {
  readonly heardAtMs: number;
}

/** Some pipelines of a thousand records each. */
const MOST_REMOVALS = 10_000;

/** The records of all pipelines, kept by a watch. Nothing is decided by it alone: every write that follows is a compare-and-set. */
export class PipelineBook {
  readonly #clock: Clock;
  readonly #pipelines = new Map<string, KnownPipeline>();
  /** By key, the revision at which a record was removed: a request may have read it before, and tell of it later. */
  readonly #removals = new Map<string, number>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Pipelines that have a spec. */
  get all(): KnownPipeline[] {
    return [...this.#pipelines.values()].filter((known) => known.spec !== null).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Names of which there are records, and no pipeline. */
  get left(): string[] {
    return [...this.#pipelines.values()].filter((known) => known.spec === null && hasRecords(known)).map(({ name }) => name);
  }

  get(name: string): KnownPipeline | null {
    const known = this.#pipelines.get(name);
    return known?.spec ? known : null;
  }

  /** Takes a change in; one that is older than what is known (a watch that starts anew) changes nothing. Throws when it breaks its schema. */
  take(change: RecordChange): void {
    if ((this.#removals.get(change.key) ?? 0) > change.revision) return;
    if (change.value === null) this.#removed(change);
    else this.#removals.delete(change.key);
    const [, name = "", kind = "", ...tail] = change.key.split(".");
    const known = this.#pipelines.get(name) ?? emptyPipeline(name);
    this.#pipelines.set(name, known);
    const label = tail.join(".");
    if (kind === "spec") known.spec = newer(known.spec, change, specRecord);
    else if (kind === "state") known.state = newer(known.state, change, stateRecord);
    else if (kind === "topology") known.topology = newer(known.topology, change, topologyRecord);
    else if (kind === "assignment") known.assignment = newer(known.assignment, change, assignmentRecord);
    else if (kind === "checkpoint") known.checkpoint = newer(known.checkpoint, change, checkpointRecord);
    else if (kind === "cutover") known.cutover = newer(known.cutover, change, cutoverRecord);
    else if (kind === "precheck") known.precheck = newer(known.precheck, change, precheckRecord);
    else if (kind === "windows") known.windows = newer(known.windows, change, windowsRecord);
    else if (kind === "events") known.events = newer(known.events, change, eventsRecord);
    else if (kind === "memory") known.memory = newer(known.memory, change, memoryRecord);
    else if (kind === "slots") takeInto(known.destinations, label, change, destinationRecord);
    else if (kind === "router") takeInto(known.watches, label, change, routerRecord);
    else if (kind === "shard") takeInto(known.shards, label, change, shardRecord);
    else if (kind === "lane") this.#takeLane(known.lanes, label, change);
  }

  /** One that is told again was heard before. */
  #takeLane(lanes: Map<string, HeardLane>, label: string, change: RecordChange): void {
    const known = lanes.get(label) ?? null;
    const next = newer(known, change, laneRecord);
    if (next === null) lanes.delete(label);
    else if (next.revision !== known?.revision) lanes.set(label, { ...next, heardAtMs: this.#clock.monotonicMs() });
  }

  /** The oldest are forgotten: no request takes so long. */
  #removed({ key, revision }: RecordChange): void {
    this.#removals.delete(key);
    this.#removals.set(key, revision);
    for (const oldest of this.#removals.keys()) {
      if (this.#removals.size <= MOST_REMOVALS) break;
      this.#removals.delete(oldest);
    }
  }
}

/** Labels of all lanes of all groups that a pipeline has by its spec and topology. */
export function laneLabels(known: KnownPipeline): { label: string; group: string; shardId: string; lane: number }[] {
  const shardLanes = lanesOfShards(known);
  return (known.spec?.value.pipeline.destinations ?? []).flatMap(({ group }) =>
    shardLanes.map(({ shardId, lane }) => ({ label: groupLaneLabel(group, shardId, lane), group, shardId, lane })),
  );
}

/** What a lane said last; undefined where it has said nothing yet, or an earlier time of its group in the pipeline is all that has. */
export function laneOf({ lanes, spec }: Pick<KnownPipeline, "lanes" | "spec">, label: string): HeardLane | undefined {
  const seen = lanes.get(label);
  const addition = spec?.value.additions?.[parseGroupLaneLabel(label).group]?.number;
  return seen?.value.addition === addition ? seen : undefined;
}

interface ShardLane {
  readonly shardId: string;
  readonly lane: number;
}

/** Cutting 16384 slots takes a while, and a topology seldom changes. */
const cutLanes = new WeakMap<TopologyRecord, readonly ShardLane[]>();

/** Every lane of every source shard that the topology names. */
export function lanesOfShards({ topology }: KnownPipeline): readonly ShardLane[] {
  if (topology === null) return [];
  const { value } = topology;
  const known = cutLanes.get(value);
  if (known !== undefined) return known;
  const found = value.shards.flatMap(({ id, slots }) =>
    lanesOf(SlotSet.parse(slots), value.lanes).map((lane) => ({ shardId: id, lane })),
  );
  cutLanes.set(value, found);
  return found;
}

interface Parser<T> {
  parse(value: unknown): T;
}

function newer<T>(known: Stored<T> | null, { value, revision }: RecordChange, schema: Parser<T>): Stored<T> | null {
  if (known !== null && known.revision > revision) return known;
  return value === null ? null : { value: schema.parse(value), revision };
}

function takeInto<T>(records: Map<string, Stored<T>>, label: string, change: RecordChange, schema: Parser<T>): void {
  const next = newer(records.get(label) ?? null, change, schema);
  if (next === null) records.delete(label);
  else records.set(label, next);
}

function hasRecords(known: KnownPipeline): boolean {
  const { state, topology, assignment, checkpoint, cutover, precheck, windows, events, memory } = known;
  const single = [state, topology, assignment, checkpoint, cutover, precheck, windows, events, memory];
  const many = [known.watches, known.destinations, known.shards, known.lanes];
  return single.some((record) => record !== null) || many.some(({ size }) => size > 0);
}

function emptyPipeline(name: string): KnownPipeline {
  return {
    name,
    spec: null,
    state: null,
    topology: null,
    assignment: null,
    checkpoint: null,
    cutover: null,
    precheck: null,
    windows: null,
    events: null,
    memory: null,
    destinations: new Map(),
    watches: new Map(),
    shards: new Map(),
    lanes: new Map(),
  };
}
