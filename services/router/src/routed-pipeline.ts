import type { RecordChange, Stored } from "@sluice/bus";
import {
  assignmentRecord,
  destinationRecord,
  recordKey,
  specRecord,
  stateRecord,
  topologyRecord,
  type AssignmentRecord,
  type DestinationRecord,
  type SpecRecord,
  type StateRecord,
  type TopologyRecord,
} from "@sluice/wire";

/** What the router knows of one pipeline: its records as they were last seen. */
export interface RoutedPipeline {
  spec: Stored<SpecRecord> | null;
  state: Stored<StateRecord> | null;
  topology: Stored<TopologyRecord> | null;
  assignment: Stored<AssignmentRecord> | null;
  /** By group. */
  readonly destinations: Map<string, Stored<DestinationRecord>>;
}

/** The records that the router decides by, to be watched each with its own filter. */
export const routedFilters: readonly string[] = [
  recordKey.spec("*"),
  recordKey.state("*"),
  recordKey.topology("*"),
  recordKey.assignment("*"),
  recordKey.destination("*", "*"),
];

/** The record of a pipeline changed. Throws when it breaks its schema; what was known before then stays. */
export function takeRecord(pipelines: Map<string, RoutedPipeline>, change: RecordChange): void {
  const [, name = "", kind = "", group = ""] = change.key.split(".");
  const known = pipelines.get(name) ?? emptyPipeline();
  pipelines.set(name, known);
  if (kind === "spec") known.spec = stored(specRecord, change);
  else if (kind === "state") known.state = stored(stateRecord, change);
  else if (kind === "topology") known.topology = newer(known.topology, stored(topologyRecord, change));
  else if (kind === "assignment") known.assignment = newer(known.assignment, stored(assignmentRecord, change));
  else if (kind === "slots") {
    const next = newer(known.destinations.get(group) ?? null, stored(destinationRecord, change));
    if (next === null) known.destinations.delete(group);
    else known.destinations.set(group, next);
  }
}

function emptyPipeline(): RoutedPipeline {
  return { spec: null, state: null, topology: null, assignment: null, destinations: new Map() };
}

function stored<T>(schema: { parse(value: unknown): T }, { value, revision }: RecordChange): Stored<T> | null {
  return value === null ? null : { value: schema.parse(value), revision };
}

/** Our own write is known before the watch tells of it; an older state that the watch still brings must not undo that. */
function newer<T>(known: Stored<T> | null, told: Stored<T> | null): Stored<T> | null {
  return known !== null && told !== null && told.revision < known.revision ? known : told;
}
