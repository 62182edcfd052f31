import type { Records, LaneStream, Stored } from "@sluice/bus";
import { describeFault, Retryable, type Clock, type Logger } from "@sluice/runtime";
import { epochRecord, recordKey, specRecord, writtenSpec, type PrecheckRecord, type SpecRecord } from "@sluice/wire";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { checkStored } from "../desk/precheck-pipeline.ts";
import { wished } from "../desk/spec-change.ts";
import { addEvents } from "./event-log.ts";
import { precheckOf } from "./facts-of.ts";
import type { KnownPipeline } from "./pipeline-book.ts";

export interface PrecheckingDeps {
  readonly records: Records;
  readonly stream: LaneStream;
  readonly busFacts: DeskDeps["busFacts"];
  readonly secretKey: Buffer | null;
  readonly clock: Clock;
  readonly log: Logger;
}

const RAISE_ATTEMPTS = 10;

/**
 * Takes a pipeline whose start was asked for through its prechecks, one look at a time. What they said stands in a record that names the
 * revision of the spec which was checked, and only that spec is made to run: by compare-and-set, so that whoever changed it meanwhile has
 * it checked again. A coordinator that takes over checks again what has no such record, and goes on where it has.
 */
export class Prechecking {
  readonly #known: KnownPipeline;
  readonly #deps: PrecheckingDeps;
  #running: { readonly spec: number; readonly ended: Promise<void> } | null = null;
  #failure: Error | null = null;

  /** `known` is kept up to date by the caller. */
  constructor(known: KnownPipeline, deps: PrecheckingDeps) {
    this.#known = known;
    this.#deps = deps;
  }

  /** To be called at every look. Throws `Retryable` BUS-001. */
  async step(spec: Stored<SpecRecord>): Promise<void> {
    if (this.#failure !== null) {
      const failure = this.#failure;
      this.#failure = null;
      throw failure;
    }
    if (spec.value.desired !== "checking" || this.#running !== null) return;
    const seen = precheckOf(this.#known);
    if (seen === null) this.#run(spec.revision);
    else if (seen.isPassed) await this.#begin(spec.revision, this.#known.precheck?.value ?? null);
  }

  /** Resolves when nothing of it is under way. */
  async stop(): Promise<void> {
    await this.#running?.ended;
  }

  #run(revision: number): void {
    const ended = this.#check(revision)
      .catch((cause: unknown) => {
        this.#failure = cause instanceof Retryable ? cause : new Error(`prechecks failed: ${describeFault(cause)}`, { cause });
      })
      .finally(() => (this.#running = null));
    this.#running = { spec: revision, ended };
  }

  async #check(revision: number): Promise<void> {
    const { records, clock, log } = this.#deps;
    const { name } = this.#known;
    const spec = await records.get(recordKey.spec(name), writtenSpec);
    if (spec?.revision !== revision) return;
    const { report } = await checkStored(name, spec, {}, this.#deps);
    const failed = report.results.filter(({ level, waived }) => level === "fail" && waived === null);
    const ids = [...new Set(failed.map(({ id }) => id))].slice(0, 5).join(", ");
    log.info({ pipeline: name, verdict: report.verdict, failed: ids }, "prechecks have run");
    const text = failed.length === 0 ? `prechecks passed: ${report.verdict}` : `prechecks failed: ${ids}`;
    await addEvents(records, name, [{ kind: "precheck", text }], clock.nowMs()).catch(() => undefined);
  }

  /** Everything before the last write may be done again. */
  async #begin(revision: number, checked: PrecheckRecord | null): Promise<void> {
    const { records, stream } = this.#deps;
    const { name } = this.#known;
    const spec = await records.get(recordKey.spec(name), writtenSpec);
    if (spec?.revision !== revision) return;
    await stream.ensure();
    await stream.limit(specRecord.parse(spec.value).pipeline.limits.streamBytes ?? null);
    await raiseEpoch(name, checked?.highestEpoch ?? 0, records);
    if (spec.value.isEdited === true) {
      // Writers would ask the former servers who serves which slots. The router writes them anew.
      const { destinations } = specRecord.parse(spec.value).pipeline;
      for (const { group } of destinations) await records.remove(recordKey.destination(name, group));
    }
    const { isNew: _, isEdited: __, ...value } = wished(spec.value, "running");
    await records.compareAndSet(recordKey.spec(name), specRecord, value, revision);
  }
}

/** No new epoch may be one that a destination has already seen: the records may be younger than its marks (H6). */
async function raiseEpoch(name: string, highest: number, records: Records): Promise<void> {
  for (let attempt = 0; attempt < RAISE_ATTEMPTS; attempt++) {
    const current = await records.get(recordKey.epoch(name), epochRecord);
    if ((current?.value.epoch ?? 0) >= highest) return;
    const raised = await records.compareAndSet(recordKey.epoch(name), epochRecord, { epoch: highest }, current?.revision ?? 0);
    if (raised !== null) return;
  }
  throw new Retryable("BUS-001", "bus", `the epoch of ${name} was changed by others ${RAISE_ATTEMPTS} times in a row`);
}
