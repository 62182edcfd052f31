import type { Leases, RecordChange, Records } from "@sluice/bus";
import { Crew, Retryable, type Actor } from "@sluice/runtime";
import { assignmentRecord, lastMade, memberRecord, recordFilter, recordKey } from "@sluice/wire";
import { planWork, type Work } from "./lanes/plan.ts";
import { RollCall } from "./lanes/roll-call.ts";
import { isFed, wantedWork } from "./lanes/wanted-work.ts";
import { routedFilters, takeRecord, type RoutedPipeline } from "./routed-pipeline.ts";
import { DestinationWatch } from "./topology/destination-watch.ts";
import { SourceWatch, type WatchDeps } from "./topology/source-watch.ts";

/** Decisions are made at every change of a record and at least so often. */
const DECIDE_EVERY_MS = 250;

export interface RouterDeps extends WatchDeps {
  readonly records: Records;
  readonly leases: Leases;
}

/**
 * Decides which instance does what, as the one router that holds the lease; others stand by.
 *
 * All it knows it reads from records anew each time it takes the lease, and all it decides it writes by compare-and-set at the
 * revision that it decided on: a router that lost its lease without knowing is refused by the record itself.
 */
export class RouterService implements Actor {
  readonly name = "router";
  readonly #deps: RouterDeps;

  constructor(deps: RouterDeps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const lease = await this.#deps.leases.acquire("router", signal);
    if (lease === null) return;
    const term = new RouterTerm(this.#deps);
    const end = (): void => term.end();
    signal.addEventListener("abort", end, { once: true });
    lease.lost.addEventListener("abort", end, { once: true });
    try {
      if (!signal.aborted && !lease.lost.aborted) await term.run(progress);
    } finally {
      signal.removeEventListener("abort", end);
      term.end();
      await lease.release();
    }
    if (lease.lost.aborted && !signal.aborted) {
      throw new Retryable("BUS-001", "bus", "the lease of the router could not be kept; standing by");
    }
  }
}

/** The time from taking the lease to losing it or giving it back. */
class RouterTerm {
  readonly #deps: RouterDeps;
  readonly #crew: Crew;
  readonly #present: RollCall;
  readonly #pipelines = new Map<string, RoutedPipeline>();
  readonly #ending = new AbortController();
  #changed = new AbortController();

  constructor(deps: RouterDeps) {
    this.#deps = deps;
    this.#crew = new Crew(deps.clock, deps.log);
    this.#present = new RollCall(deps.clock);
  }

  end(): void {
    this.#ending.abort();
    this.#changed.abort();
  }

  async run(progress: () => void): Promise<void> {
    const { records, clock } = this.#deps;
    const watches = [
      ...routedFilters.map((filter) => records.watch(filter, (change) => this.#take(change, takeRecordOf(this.#pipelines)))),
      records.watch(recordFilter.members, (change) => this.#take(change, (member) => this.#takeMember(member))),
    ];
    try {
      while (!this.#ending.signal.aborted) {
        this.#watchServers();
        if (this.#present.isSettled) {
          await this.#decide();
          progress();
        }
        await clock.sleep(DECIDE_EVERY_MS, this.#changed.signal);
        if (!this.#ending.signal.aborted) this.#changed = new AbortController();
      }
    } finally {
      for (const unwatch of watches) unwatch();
      await this.#crew.stop();
    }
  }

  /** Takes a record in; one that can't be read is reported and changes nothing. */
  #take(change: RecordChange, into: (change: RecordChange) => void): void {
    try {
      into(change);
    } catch (cause) {
      this.#deps.log.error(
        { key: change.key, revision: change.revision, cause: String(cause) },
        "a record can't be read; left as it was",
      );
    }
    this.#changed.abort();
  }

  #takeMember({ key, value, revision }: RecordChange): void {
    const [, service = "", instance = ""] = key.split(".");
    if (value === null) this.#present.gone(service, instance);
    else {
      memberRecord.parse(value);
      this.#present.beat(service, instance, revision);
    }
  }

  async #decide(): Promise<void> {
    const work = new Map<string, Work>();
    for (const [name, known] of this.#pipelines) {
      const assignment = known.assignment?.value ?? null;
      if (known.spec !== null && known.topology !== null) {
        work.set(name, {
          wanted: wantedWork(known.spec.value, known.topology.value, known.state?.value.state ?? null),
          assignment,
        });
      } else if (known.spec === null) work.set(name, { wanted: { shards: [], lanes: [] }, assignment });
    }
    const { assignments, moves } = planWork(work, this.#present);
    for (const [name, value] of assignments) {
      const known = this.#pipelines.get(name)!;
      const revision = await this.#deps.records.compareAndSet(
        recordKey.assignment(name),
        assignmentRecord,
        value,
        known.assignment?.revision ?? 0,
      );
      // Refused: somebody wrote it, and the watch will tell what.
      if (revision === null) continue;
      known.assignment = { value, revision };
      for (const { work, from, to, why } of moves) {
        if (work.startsWith(`${name}/`))
          this.#deps.log.info({ pipeline: name, work: work.slice(name.length + 1), from, to, why }, "work moved");
      }
    }
  }

  /**
   * Every running pipeline has its servers watched. Each start writes the spec, and with it begins another watch; where groups alone came or
   * went the others are watched on.
   */
  #watchServers(): void {
    const wanted = new Map<string, () => Actor>();
    for (const [name, known] of this.#pipelines) {
      if (known.spec === null || !isFed(known.spec.value)) continue;
      const { value } = known.spec;
      const made = lastMade(known.spec);
      wanted.set(`source of ${name} at ${made}`, () => new SourceWatch(name, known, this.#deps));
      if (value.desired !== "running") continue;
      for (const { group } of value.pipeline.destinations) {
        const create = (): Actor => new DestinationWatch(name, group, known, this.#deps);
        const addition = value.additions?.[group]?.number ?? 0;
        wanted.set(`destination ${group} (${addition}) of ${name} at ${made}`, create);
      }
    }
    this.#crew.keep(new Set(wanted.keys()), (watch) => wanted.get(watch)!());
  }
}

function takeRecordOf(pipelines: Map<string, RoutedPipeline>): (change: RecordChange) => void {
  return (change) => takeRecord(pipelines, change);
}
