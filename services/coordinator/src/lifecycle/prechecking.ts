import type { Records, LaneStream, Stored } from "@sluice/bus";
import { codes, describeFault, Halt, Retryable, type Clock, type Logger } from "@sluice/runtime";
import {
  epochRecord,
  recordKey,
  specRecord,
  withLastStart,
  writtenSpec,
  precheckRecord,
  type PrecheckRecord,
  type SpecRecord,
} from "@sluice/wire";
import { clearLeft } from "../desk/clear-left.ts";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { refusedBy } from "../desk/check-pipeline.ts";
import { checkStored } from "../desk/precheck-pipeline.ts";
import { Refusal } from "../desk/refusal.ts";
import { wished } from "../desk/spec-change.ts";
import { copyAfterRest } from "./copy-after-rest.ts";
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
/** What goes wrong so often in a row, and is not the bus, is the operator's to know. */
const CHECK_TRIES = 3;

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
  /** Tries of one spec that came to nothing. */
  #missed = { spec: 0, tries: 0 };

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
      .catch(async (cause: unknown) => this.#miss(revision, cause))
      .catch((cause: unknown) => {
        this.#failure = cause instanceof Retryable ? cause : new Error(`prechecks failed: ${describeFault(cause)}`, { cause });
      })
      .finally(() => (this.#running = null));
    this.#running = { spec: revision, ended };
  }

  /** The report of what kept them from being made forbids the start, and says why; a start asked for anew tries again. */
  async #miss(revision: number, cause: unknown): Promise<void> {
    if (cause instanceof Retryable) throw cause;
    const { records, clock, log } = this.#deps;
    const { name } = this.#known;
    const tries = this.#missed.spec === revision ? this.#missed.tries + 1 : 1;
    this.#missed = { spec: revision, tries };
    const told = `prechecks could not be made: ${describeFault(cause)}`;
    log.warn({ pipeline: name, tries }, told);
    if (tries < CHECK_TRIES) return;
    const fault = cause instanceof Refusal || cause instanceof Halt ? cause : { ...codes["SLU-001"], code: "SLU-001" as const };
    const report = refusedBy({ code: fault.code, message: told, remedy: fault.remedy }, clock.nowMs());
    const key = recordKey.precheck(name);
    const current = await records.get(key, precheckRecord).catch(async (unread: unknown) => {
      if (unread instanceof Retryable) throw unread;
      await records.remove(key);
      return null;
    });
    const value = {
      spec: revision,
      report,
      ignore: current?.value.ignore ?? [],
      highestEpoch: current?.value.highestEpoch ?? 0,
    };
    await records.compareAndSet(key, precheckRecord, value, current?.revision ?? 0);
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
    const { records, stream, clock } = this.#deps;
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
    const failure =
      spec.value.isNew === true
        ? null
        : await copyAfterRest(name, specRecord.parse(spec.value).pipeline, records, clock.nowMs());
    const { isNew: _, isEdited: __, ...running } = wished(spec.value, "running");
    const next = failure === null ? running : { ...wished(spec.value, "failed"), failure };
    const written = await records.compareAndSet(recordKey.spec(name), specRecord, withLastStart(next, spec), revision);
    // Whoever deleted it in this moment did not see what was made for it here.
    if (written === null) await clearLeft(name, { records, streamOf: () => stream });
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
