import { Crew, describeFault, type Actor, type ServiceContext } from "@sluice/runtime";
import {
  assignmentRecord,
  lastMade,
  recordFilter,
  recordKey,
  specRecord,
  topologyRecord,
  type AssignmentRecord,
  type SpecRecord,
  type TopologyRecord,
} from "@sluice/wire";
import type { Bus } from "./bus.ts";
import { beMember } from "./member.ts";

/** Looks for work so often; a change of an assignment is looked at at once. */
const LOOK_MS = 1_000;
const NOTHING = { success: true, data: { shards: {}, lanes: {} } } as const;
const ASSIGNMENT_KEY = /^pipeline\.([a-z0-9-]{1,32})\.assignment$/;
const SPEC_KEY = /^pipeline\.([a-z0-9-]{1,32})\.spec$/;
const TOPOLOGY_KEY = /^pipeline\.([a-z0-9-]{1,32})\.topology$/;

export interface AssignedWorkOptions {
  readonly context: ServiceContext;
  readonly bus: Bus;
  readonly service: string;
  /** The part of an assignment that speaks of this service: work → instance. */
  readonly pick: (assignment: AssignmentRecord) => Readonly<Record<string, string>>;
  /** The actor for one piece of work. What it throws is logged, and it is asked again. */
  readonly create: (pipeline: string, work: string) => Promise<Actor>;
  /**
   * What of a source's topology one piece of work was made from: when it reads otherwise, the actor is made anew. So it is at
   * every start of its pipeline; a stop makes nothing anew, and what is being drained goes on. Nor does an edit that only adds groups or
   * takes some away: what the work of one group was made from is for `spec` to say.
   */
  readonly madeFrom: (topology: TopologyRecord, work: string, spec: SpecRecord) => string;
}

interface Work {
  readonly pipeline: string;
  readonly work: string;
}

/** What a pipeline was to do by the spec that was seen last, and as what. */
interface Wish {
  readonly revision: number;
  readonly desired: SpecRecord["desired"];
  readonly pipeline: string;
}

/** What is wanted of this instance now, and what each actor that runs was made from. */
interface WorkBook {
  readonly assigned: Map<string, readonly Work[]>;
  readonly topologies: Map<string, TopologyRecord>;
  /** Revision of the spec when its pipeline was last started; 0 where only a stop of it was seen. */
  readonly starts: Map<string, number>;
  readonly wishes: Map<string, Wish>;
  readonly specs: Map<string, SpecRecord>;
  /** Revision of the spec that paused or resumed its pipeline last: what works goes on, what has ended by itself is made anew. */
  readonly revivals: Map<string, number>;
  readonly madeFrom: Map<string, string>;
  readonly madeAt: Map<string, number>;
}

/** Is a member of its service and runs an actor for every piece of work that is assigned to this instance, until it is asked to stop. */
export async function runAssignedWork(options: AssignedWorkOptions): Promise<void> {
  const { context, bus, service, pick } = options;
  const { config, clock, log, stopping } = context;
  const crew = new Crew(clock, log);
  context.meters?.add({ collect: (page) => page.set("sluice_process_work", { service }, crew.names.length) });
  const book: WorkBook = {
    assigned: new Map(),
    topologies: new Map(),
    starts: new Map(),
    wishes: new Map(),
    specs: new Map(),
    revivals: new Map(),
    madeFrom: new Map(),
    madeAt: new Map(),
  };
  let wake = (): void => undefined;
  const unwatch = bus.records.watch(recordFilter.assignments, ({ key, value }) => {
    const pipeline = ASSIGNMENT_KEY.exec(key)?.[1];
    if (pipeline === undefined) return;
    const record = value === null ? NOTHING : assignmentRecord.safeParse(value);
    if (!record.success) {
      log.error({ key }, `the assignment is not what this release writes; what runs goes on: ${record.error.message}`);
      return;
    }
    const mine = Object.entries(pick(record.data)).filter(([, instance]) => instance === config.instance);
    book.assigned.set(
      pipeline,
      mine.map(([work]) => ({ pipeline, work })),
    );
    wake();
  });
  const unwatchTopologies = bus.records.watch(recordKey.topology("*"), ({ key, value }) => {
    const pipeline = TOPOLOGY_KEY.exec(key)?.[1];
    const record = topologyRecord.safeParse(value);
    if (pipeline === undefined || !record.success) return;
    book.topologies.set(pipeline, record.data);
    wake();
  });
  const unwatchSpecs = bus.records.watch(recordFilter.specs, ({ key, value, revision }) => {
    const pipeline = SPEC_KEY.exec(key)?.[1];
    const record = specRecord.safeParse(value);
    if (pipeline === undefined || !record.success) return;
    book.specs.set(pipeline, record.data);
    takeSpec(book, pipeline, record.data, revision);
    wake();
  });
  const member = beMember(bus.records, service, config.instance, clock, stopping);
  const asked = untilAborted(stopping);
  const looking = async (): Promise<void> => {
    while (!stopping.aborted) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      await Promise.race([keepCrew(crew, book, options), asked]);
      await Promise.race([clock.sleep(LOOK_MS, stopping), woken]);
    }
  };
  try {
    // A member that can't be one any more ends the service, too.
    await Promise.race([looking(), member]);
  } finally {
    unwatch();
    unwatchTopologies();
    unwatchSpecs();
    await crew.stop();
  }
  await member;
}

/**
 * A start makes everything anew. A pause takes lanes back, and a resume gives them out again: ingest works on meanwhile, so that neither
 * breaks off a copy.
 */
function takeSpec(book: WorkBook, name: string, spec: SpecRecord, revision: number): void {
  const { desired, pipeline } = spec;
  const before = book.wishes.get(name);
  const now = { revision, desired, pipeline: JSON.stringify(pipeline) };
  // Behind a restart of the bus all records are told again.
  if (before?.revision === revision) return;
  book.wishes.set(name, now);
  const start = book.starts.get(name);
  const isWorking = desired === "running" || desired === "paused";
  const isPause = before?.pipeline === now.pipeline && [before.desired, desired].includes("paused");
  const wasWorking = before?.desired === "running" || before?.desired === "paused";
  // Since what was seen before, groups alone came or went.
  const isOthers = before !== undefined && lastMade({ value: spec, revision }) <= before.revision;
  const goesOn = wasWorking && start !== undefined;
  if (!isWorking) book.starts.set(name, start ?? 0);
  else if (isPause && goesOn && !isOthers) book.revivals.set(name, revision);
  else if (!(isOthers && goesOn)) book.starts.set(name, revision);
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function keepCrew(crew: Crew, book: WorkBook, { context, create, madeFrom }: AssignedWorkOptions): Promise<void> {
  const actors = new Map<string, Actor>();
  const wanted = new Set<string>();
  for (const { pipeline, work } of [...book.assigned.values()].flat()) {
    const name = `${pipeline}/${work}`;
    const topology = book.topologies.get(pipeline);
    const spec = book.specs.get(pipeline);
    const start = book.starts.get(pipeline);
    // What is made before its pipeline and its topology were seen would be made anew at once: assignments are told by a watch of their own.
    if (start === undefined || topology === undefined || spec === undefined) continue;
    const revival = book.revivals.get(pipeline) ?? 0;
    const from = `${start} ${madeFrom(topology, work, spec)}`;
    if (crew.names.includes(name)) {
      // It ends first; what is made from the new topology starts when it has.
      if (book.madeFrom.get(name) !== from) continue;
      if (crew.hasEnded(name) && (book.madeAt.get(name) ?? 0) < revival) continue;
    } else {
      book.madeFrom.set(name, from);
      book.madeAt.set(name, Math.max(start, revival));
      try {
        actors.set(name, await create(pipeline, work));
      } catch (cause) {
        context.log.warn({ pipeline, work }, `can't start yet: ${describeFault(cause)}`);
        continue;
      }
    }
    wanted.add(name);
  }
  // It may have been asked to stop while an actor was made, and an actor that was ending then may have ended.
  if (context.stopping.aborted) return;
  const running = new Set(crew.names);
  crew.keep(new Set([...wanted].filter((name) => running.has(name) || actors.has(name))), (name) => actors.get(name) as Actor);
}
