import type { Records } from "@sluice/bus";
import { Halt, Retryable, type Clock } from "@sluice/runtime";
import { keptRecord, recordKey, SlotSet } from "@sluice/wire";
import { KeptKeys, type KeptLimits } from "./kept-keys.ts";

/** Every other lane of the group may write the record in between, once each. */
const ATTEMPTS = 2_000;

export interface KeepingOptions {
  readonly pipeline: string;
  readonly group: string;
  /** Of the lane, for people. */
  readonly label: string;
  readonly records: Records;
  readonly clock: Clock;
  readonly limits?: KeptLimits;
}

/**
 * What `existing: keep` means for one lane: which keys stood in the destination before the pipeline's first copy.
 *
 *     claim    names of all keys there → the destination, then (on one server) or with it (in a cluster) the first mark
 *     noted    slots → the group's record, before the first key of the copy
 *     ever     neither copy nor sweep nor changes touch these names, see `Projection`
 *
 * A slot is in one of these states, and a writer that ended anywhere finds it in one of them again:
 *
 *     names there                     they count, whatever else is lost
 *     no names, not noted, no mark    nothing of the pipeline was ever put there: they are taken down
 *     no names, noted, no keys        the destination was emptied: nothing is left to be kept
 *     no names else                   keys there may be the pipeline's own: DST-022
 */
export class Keeping {
  readonly kept: KeptKeys;
  readonly #options: KeepingOptions;

  constructor(options: KeepingOptions) {
    this.#options = options;
    this.kept = new KeptKeys(options.label, options.limits);
  }

  get label(): string {
    return this.#options.label;
  }

  /** Slots of the group that are noted. Throws `Retryable` BUS-001. */
  async noted(): Promise<SlotSet> {
    return (await this.#read()).slots;
  }

  /** Notes the slots. Throws `Retryable` BUS-001. */
  async note(slots: SlotSet): Promise<void> {
    const { pipeline, group, records, clock } = this.#options;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { slots: noted, revision } = await this.#read();
      if (noted.overlap(slots) === slots.size) return;
      const value = { slots: SlotSet.of([...noted, ...slots]).toString(), at: clock.nowMs() };
      if ((await records.compareAndSet(recordKey.kept(pipeline, group), keptRecord, value, revision)) !== null) return;
    }
    throw new Retryable("BUS-001", "bus", `lane ${this.label} could not note which names it keeps: others did all the time`);
  }

  /** `where`: `slot 7 of main`; `what` is wrong there. */
  lost(where: string, what: string): Halt {
    return new Halt("DST-022", `the names of the keys that stood in ${where} before the first copy are not there: ${what}`);
  }

  async #read(): Promise<{ slots: SlotSet; revision: number }> {
    const { pipeline, group, records } = this.#options;
    const found = await records.get(recordKey.kept(pipeline, group), keptRecord);
    return { slots: SlotSet.parse(found?.value.slots ?? ""), revision: found?.revision ?? 0 };
  }
}
