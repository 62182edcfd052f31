import type { Records } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import { recordKey, shardRecord, type ShardRecord } from "@sluice/wire";

/** What a report says before anything is known. */
const BLANK: ShardRecord = {
  epoch: 0,
  copy: 1,
  term: 0,
  instance: "",
  phase: "connecting",
  replid: "",
  storedOffset: 0,
  db: 0,
  copied: { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 },
  commands: 0,
  bytes: 0,
  retry: null,
  halt: null,
  at: 0,
};

const ATTEMPTS = 10;

/**
 * The record of one source shard, and the term that it hands out.
 *
 * Every write is a compare-and-set: an ingest that lost the shard learns it here, at the latest, and stops. The record tells
 * people and the coordinator how things stand; what is stored is decided by the stream's tails alone.
 */
export class ShardReport {
  readonly #records: Records;
  readonly #key: string;
  #record: ShardRecord;
  #revision: number;

  private constructor(records: Records, key: string, record: ShardRecord, revision: number) {
    this.#records = records;
    this.#key = key;
    this.#record = record;
    this.#revision = revision;
  }

  /** Takes the next term of the shard for `instance`, above `above`: the lanes may hold later terms than a record that was lost (H5). */
  static async takeTerm(
    records: Records,
    pipeline: string,
    shard: string,
    instance: string,
    above: number,
    nowMs: number,
  ): Promise<ShardReport> {
    const key = recordKey.shard(pipeline, shard);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const current = await records.get(key, shardRecord);
      const base = current?.value ?? BLANK;
      const record: ShardRecord = {
        ...base,
        term: Math.max(base.term, above) + 1,
        instance,
        phase: "connecting",
        halt: null,
        commands: 0,
        bytes: 0,
        at: nowMs,
      };
      const revision = await records.compareAndSet(key, shardRecord, record, current?.revision ?? 0);
      if (revision !== null) return new ShardReport(records, key, record, revision);
    }
    throw new Retryable("BUS-001", "bus", `the term of ${key} was taken by another ingest ${ATTEMPTS} times in a row`);
  }

  /** As it was last written, or tried to be. */
  get record(): ShardRecord {
    return this.#record;
  }

  get term(): number {
    return this.#record.term;
  }

  /** Writes what has changed. Throws `TermLost` when the record speaks of another term, or is gone. */
  async update(changes: Partial<ShardRecord>, nowMs: number): Promise<void> {
    this.#record = { ...this.#record, ...changes, at: nowMs };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const revision = await this.#records.compareAndSet(this.#key, shardRecord, this.#record, this.#revision);
      if (revision !== null) {
        this.#revision = revision;
        return;
      }
      const current = await this.#records.get(this.#key, shardRecord);
      if (current?.value.term !== this.#record.term || current.value.instance !== this.#record.instance) {
        throw new TermLost(this.#key, this.#record.term, current?.value.term ?? null);
      }
      // Another write of this report was faster, or an earlier one was stored although its answer was lost.
      this.#revision = current.revision;
    }
  }
}

/** The term is no longer this ingest's. It begins anew, under its lease: if another ingest has the shard, that waits. */
export class TermLost extends Retryable {
  constructor(key: string, own: number, found: number | null) {
    super("BUS-002", "bus", `${key} speaks of ${found === null ? "no term" : `term ${found}`}, not of term ${own}`);
  }
}
