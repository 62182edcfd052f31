import type { Records } from "@sluice/bus";
import { persist, type Clock, type Retryable } from "@sluice/runtime";
import { isBehindMark, laneRecord, recordKey, type HaltRecord, type LaneRecord } from "@sluice/wire";
import type { LaneDestination } from "./lane-destination.ts";
import type { Step } from "./progress/lane-chain.ts";
import { WriterTally } from "./writer-tally.ts";

const WRITE_MS = 1_000;
/** Another writer of the same lane wrote in between so often: the next report comes soon. */
const ATTEMPTS = 3;

/**
 * What a lane's writer tells of itself, once a second and when something changes. Two things are decided by it: what may be
 * trimmed, and that only from positions that were read back from the destination; and whether the lane has to stay halted. So
 * nothing is written before `begin`, no halt behind the mark that this writer did not know of is ever written over, and nothing is
 * written any more once the record is removed.
 */
export class LaneReport {
  readonly #records: Records;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #tally: WriterTally;
  #record: LaneRecord;
  /** Of the record as this writer read or wrote it last; null before the lane is known to go on. */
  #revision: number | null = null;
  #written: Promise<void> = Promise.resolve();

  /** `tally`: where what the lane does is counted for its process. `addition`: of the lane's group, where it was added later. */
  constructor(
    records: Records,
    pipeline: string,
    label: string,
    instance: string,
    clock: Clock,
    tally: WriterTally = new WriterTally(),
    addition?: number,
  ) {
    this.#records = records;
    this.#key = recordKey.lane(pipeline, label);
    this.#clock = clock;
    this.#tally = tally;
    this.#record = {
      instance,
      ...(addition === undefined ? {} : { addition }),
      epoch: 0,
      copy: 1,
      phase: "snap",
      offset: 0,
      sequence: 0,
      keys: 0,
      units: 0,
      bytes: 0,
      transactions: 0,
      stale: 0,
      retry: null,
      halt: null,
      at: 0,
    };
  }

  /** One step was answered, with so many units (entries of a copy) and bytes in it. */
  applied(units: number, bytes: number): void {
    this.#record.transactions++;
    this.#record.units += units;
    this.#record.bytes += bytes;
    this.#tally.transactions++;
    this.#tally.units += units;
    this.#tally.bytes += bytes;
  }

  /** A batch of changes was judged. */
  judged(verdict: Step["kind"]): void {
    this.#tally.verdicts[verdict]++;
  }

  /** Where the lane stands now, as read back from the destination. */
  standsAt({ position, safeSequence }: Pick<LaneDestination, "position" | "safeSequence">): void {
    if (position === null) return;
    const record = this.#record;
    record.epoch = position.epoch;
    record.copy = position.copy;
    record.phase = position.phase;
    record.offset = position.offset;
    record.sequence = safeSequence;
  }

  /** So many entries of the running copy stand in the destination. */
  copied(entries: number): void {
    this.#record.keys = entries;
  }

  /** A copy is written from its first entry on: what was left out before is not left out of it. */
  beginsCopy(): void {
    if (this.#record.unsupported !== undefined) this.#record.unsupported = 0;
  }

  stale(): void {
    this.#record.stale++;
    this.#tally.refused++;
  }

  /** So many keys were taken from the source again, so many errors passed over. */
  diverged(repairedKeys: number, skippedErrors: number): void {
    const record = this.#record;
    record.repairedKeys = (record.repairedKeys ?? 0) + repairedKeys;
    record.skippedErrors = (record.skippedErrors ?? 0) + skippedErrors;
  }

  /** The destination keeps so many keys of the lane's slots. */
  keeps(keys: number): void {
    this.#record.keptKeys = keys;
    this.#record.keptEntries ??= 0;
    this.#record.keptCommands ??= 0;
  }

  /** So many entries of the running copy, in all, are not written because such a key stands there. */
  passedEntries(entries: number): void {
    this.#record.keptEntries = entries;
  }

  /** So many more commands were left out or changed because of such a key. */
  passedCommands(commands: number): void {
    if (commands > 0) this.#record.keptCommands = (this.#record.keptCommands ?? 0) + commands;
  }

  /** So many more commands were left out by their names. */
  filteredOut(commands: number): void {
    if (commands > 0) this.#record.filteredCommands = (this.#record.filteredCommands ?? 0) + commands;
  }

  /** So many more keys, or commands, of which something was left out that the destination can't hold. */
  leftOut(more: number): void {
    if (more > 0) this.#record.unsupported = (this.#record.unsupported ?? 0) + more;
  }

  /** The lane works from here on, and what its record said at `revision` (0: there is none) counts no more, but for `sums`. */
  begin(
    revision: number,
    sums: Pick<
      LaneRecord,
      "repairedKeys" | "skippedErrors" | "keptEntries" | "keptCommands" | "filteredCommands" | "unsupported"
    > = {},
  ): void {
    this.#revision = revision;
    this.#record.halt = null;
    this.#record.repairedKeys = sums.repairedKeys ?? 0;
    this.#record.skippedErrors = sums.skippedErrors ?? 0;
    this.#record.keptEntries = sums.keptEntries;
    this.#record.keptCommands = sums.keptCommands;
    this.#record.filteredCommands = sums.filteredCommands;
    this.#record.unsupported = sums.unsupported;
  }

  tell(changes: Pick<Partial<LaneRecord>, "retry">): void {
    Object.assign(this.#record, changes);
    void this.write();
  }

  /**
   * Resolves when the halt is written: once tried, even after `signal` aborted, and repeated while the bus is away until it does.
   * Rejects with `Stopped` when it did first. `waiting` is told of every failure.
   */
  async halted(halt: HaltRecord, signal: AbortSignal, waiting: (fault: Retryable | null) => void): Promise<void> {
    this.#record.halt = halt;
    const once = await this.#store().then(
      () => true,
      () => false,
    );
    if (!once) await persist(() => this.#store(), { clock: this.#clock, signal, onWaiting: waiting });
  }

  /** Writes the record now. Never rejects: a report that can't be written is followed by the next one. */
  async write(): Promise<void> {
    await this.#store().catch(() => undefined);
  }

  /** Writes the record once a second until `signal` aborts. */
  async keepWriting(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.write();
      await this.#clock.sleep(WRITE_MS, signal);
    }
  }

  /** One write after the other: each names the revision that the one before it made. */
  async #store(): Promise<void> {
    const stored = this.#written.then(() => this.#compareAndSet());
    this.#written = stored.catch(() => undefined);
    return stored;
  }

  async #compareAndSet(): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS && this.#revision !== null; attempt++) {
      const record = { ...this.#record, at: this.#clock.nowMs() };
      const revision = await this.#records.compareAndSet(this.#key, laneRecord, record, this.#revision);
      if (revision !== null) {
        this.#revision = revision;
        return;
      }
      const current = await this.#records.get(this.#key, laneRecord);
      // A writer that had the lane before halted behind its mark, and could not say so until now.
      if (!isBehindMark(record.halt) && isBehindMark(current?.value.halt ?? null)) return;
      // What was there and is gone was removed with its pipeline: nobody wants to hear of the lane any more.
      this.#revision = current?.revision ?? (this.#revision === 0 ? 0 : null);
    }
  }
}
