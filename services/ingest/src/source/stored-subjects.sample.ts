import type { LaneStream, Records, StoredMessage } from "@sluice/bus";
import { silentLog, type Clock } from "@sluice/runtime";
import { BatchKind, encodeBatch, recordKey, shardRecord, snapSubject, type GroupCopy, type ShardRecord } from "@sluice/wire";
import { ShardReport } from "../shard-report.ts";

/** A stream in memory. */
export class StoredSubjects {
  readonly #subjects = new Map<string, StoredMessage[]>();
  #sequence = 0;
  /** What an append does first. */
  beforeAppend: () => Promise<void> = async () => Promise.resolve();

  get stream(): LaneStream {
    return this as unknown as LaneStream;
  }

  put(subject: string, payload: Uint8Array): void {
    this.#subjects.set(subject, [...(this.#subjects.get(subject) ?? []), { sequence: ++this.#sequence, payload }]);
  }

  count(subject: string): number {
    return this.#subjects.get(subject)?.length ?? 0;
  }

  async append(subject: string, payload: Uint8Array): Promise<{ outcome: "stored"; sequence: number }> {
    await this.beforeAppend();
    this.put(subject, payload);
    return { outcome: "stored", sequence: this.#sequence };
  }

  async tail(subject: string): Promise<StoredMessage | null> {
    return Promise.resolve(this.#subjects.get(subject)?.at(-1) ?? null);
  }

  async trim(subject: string, below: number): Promise<number> {
    const kept = (this.#subjects.get(subject) ?? []).filter(({ sequence }) => sequence >= below);
    const removed = this.count(subject) - kept.length;
    this.#subjects.set(subject, kept);
    return Promise.resolve(removed);
  }

  /** Stores two messages of a copy of s0 in a lane, the second of which closes it where `isWhole`. */
  putCopy(copy: number, lane: number, epoch: number, isWhole: boolean): void {
    for (const kind of [BatchKind.snapshot, isWhole ? BatchKind.snapshotEnd : BatchKind.snapshot]) {
      const head = { kind, shard: "s0", epoch, term: 1, previous: 0, last: 0, db: 0, replid: "r" };
      this.put(
        snapSubject("p", copy, "s0", lane),
        encodeBatch({ ...head, rows: null, body: Buffer.alloc(0), part: null, besideCopy: false }),
      );
    }
  }

  /** How much is stored of each copy of s0 in lanes 0 to 3. */
  copies(...numbers: number[]): number[][] {
    return numbers.map((copy) => [0, 1, 2, 3].map((lane) => this.count(snapSubject("p", copy, "s0", lane))));
  }
}

/** Records in memory. */
export function storedRecords(held: Map<string, unknown> = new Map()): Records {
  const revisions = new Map<string, number>();
  const get = async (key: string): Promise<unknown> =>
    Promise.resolve(held.has(key) ? { value: held.get(key), revision: revisions.get(key) ?? 1 } : null);
  const compareAndSet = async (key: string, _: unknown, value: unknown, revision: number): Promise<number | null> => {
    if (revision !== (held.has(key) ? (revisions.get(key) ?? 1) : 0)) return Promise.resolve(null);
    held.set(key, value);
    revisions.set(key, revision + 1);
    return Promise.resolve(revision + 1);
  };
  return { get, compareAndSet } as unknown as Records;
}

export function groupCopyOf(copy: number, phase: GroupCopy["phase"], epoch = 5): GroupCopy {
  const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
  return { epoch, copy, groups: { more: 1 }, phase, offset: 1, replid: "r", copied, retry: null };
}

/** The report of an ingest that took over s0 in epoch 5, with these copies in its record. */
export async function reportWith(records: Records, copies: readonly GroupCopy[]): Promise<ShardReport> {
  const report = await ShardReport.takeTerm(records, "p", "s0", "i", 0, 0);
  await report.update({ epoch: 5, replid: "r", copies: [...copies] }, 0);
  return report;
}

export async function recordedShard(records: Records): Promise<ShardRecord> {
  return (await records.get(recordKey.shard("p", "s0"), shardRecord))!.value;
}

export function placeOf<C extends Clock>(stored: StoredSubjects, clock: C) {
  return { pipeline: "p", shard: "s0", stream: stored.stream, lanes: [0, 1], cut: 4, floor: 0, clock, log: silentLog() };
}
