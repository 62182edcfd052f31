import { Crew, describeFault, type Actor, type ServiceContext } from "@sluice/runtime";
import { assignmentRecord, recordFilter, type AssignmentRecord } from "@sluice/wire";
import type { Bus } from "./bus.ts";
import { beMember } from "./member.ts";

/** Looks for work so often; a change of an assignment is looked at at once. */
const LOOK_MS = 1_000;
const ASSIGNMENT_KEY = /^pipeline\.([a-z0-9-]{1,32})\.assignment$/;

export interface AssignedWorkOptions {
  readonly context: ServiceContext;
  readonly bus: Bus;
  readonly service: string;
  /** The part of an assignment that speaks of this service: work → instance. */
  readonly pick: (assignment: AssignmentRecord) => Readonly<Record<string, string>>;
  /** The actor for one piece of work. What it throws is logged, and it is asked again. */
  readonly create: (pipeline: string, work: string) => Promise<Actor>;
}

interface Work {
  readonly pipeline: string;
  readonly work: string;
}

/** Is a member of its service and runs an actor for every piece of work that is assigned to this instance, until it is asked to stop. */
export async function runAssignedWork(options: AssignedWorkOptions): Promise<void> {
  const { context, bus, service, pick } = options;
  const { config, clock, log, stopping } = context;
  const crew = new Crew(clock, log);
  const assigned = new Map<string, readonly Work[]>();
  let wake = (): void => undefined;
  const unwatch = bus.records.watch(recordFilter.assignments, ({ key, value }) => {
    const pipeline = ASSIGNMENT_KEY.exec(key)?.[1];
    if (pipeline === undefined) return;
    const record = assignmentRecord.safeParse(value);
    const works = record.success ? Object.entries(pick(record.data)) : [];
    const mine = works.filter(([, instance]) => instance === config.instance);
    assigned.set(
      pipeline,
      mine.map(([work]) => ({ pipeline, work })),
    );
    wake();
  });
  const member = beMember(bus.records, service, config.instance, clock, stopping);
  while (!stopping.aborted) {
    const woken = new Promise<void>((resolve) => (wake = resolve));
    await keepCrew(crew, [...assigned.values()].flat(), options);
    await Promise.race([clock.sleep(LOOK_MS, stopping), woken]);
  }
  unwatch();
  await crew.stop();
  await member;
}

async function keepCrew(crew: Crew, works: readonly Work[], { context, create }: AssignedWorkOptions): Promise<void> {
  const actors = new Map<string, Actor>();
  const wanted = new Set<string>();
  for (const { pipeline, work } of works) {
    const name = `${pipeline}/${work}`;
    if (!crew.names.includes(name)) {
      try {
        actors.set(name, await create(pipeline, work));
      } catch (cause) {
        context.log.warn({ pipeline, work }, `can't start yet: ${describeFault(cause)}`);
        continue;
      }
    }
    wanted.add(name);
  }
  crew.keep(wanted, (name) => actors.get(name) as Actor);
}
