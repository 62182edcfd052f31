import type { Records } from "@sluice/bus";
import type { Clock } from "@sluice/runtime";
import { laneRecord, recordKey, type LaneRecord } from "@sluice/wire";
import type { LaneDestination } from "./lane-destination.ts";

const WRITE_MS = 1_000;

/**
 * What a lane's writer tells of itself, once a second and when something changes. Nothing is decided by it but what may be
 * trimmed, and that only from positions that were read back from the destination.
 */
export class LaneReport {
  readonly #records: Records;
  readonly #key: string;
  readonly #clock: Clock;
  #record: LaneRecord;

  constructor(records: Records, pipeline: string, label: string, instance: string, clock: Clock) {
    this.#records = records;
    this.#key = recordKey.lane(pipeline, label);
    this.#clock = clock;
    this.#record = {
      instance,
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

  stale(): void {
    this.#record.stale++;
  }

  tell(changes: Pick<Partial<LaneRecord>, "retry" | "halt">): void {
    Object.assign(this.#record, changes);
    void this.write();
  }

  /** Writes the record now. Never rejects: a report that can't be written is followed by the next one. */
  async write(): Promise<void> {
    await this.#records.put(this.#key, laneRecord, { ...this.#record, at: this.#clock.nowMs() }).catch(() => undefined);
  }

  /** Writes the record once a second until `signal` aborts. */
  async keepWriting(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.write();
      await this.#clock.sleep(WRITE_MS, signal);
    }
  }
}
