import { BatchKind, decodeBatch, liveSubject, snapSubject, SnapshotRows, type Batch, type Position } from "@sluice/wire";
import { Halt } from "@sluice/runtime";
import { CopyNeeded } from "../copy-request.ts";
import type { SnapshotValue } from "../lane-destination.ts";
import type { LaneSession } from "../lane-session.ts";
import { LaneLog, type LoggedBatch } from "../progress/lane-log.ts";
import { PartAssembly } from "../progress/part-assembly.ts";
import type { Projection } from "../project/projection.ts";
import { KeySet } from "./key-set.ts";
import { isLoose } from "./value-commands.ts";

/** Bounds of one step; see `LivePhase`. */
const GROUP_BYTES = 1024 * 1024;
const GROUP_ENTRIES = 8_192;
/** How a server refuses the value of a RESTORE that it can't read (cluster.c, `restoreCommand`). */
const UNREADABLE = "Bad data format";
/** So often a lane that waits for more of a copy looks whether it can still come. */
const LOOK_MS = 2_000;
/** Copies are numbered inside an epoch; the one that an epoch begins with is for all groups. */
const FIRST_COPY = 1;

/**
 * Writes the full copy of one lane that an epoch begins with, and ends with the lane live.
 *
 *     claim    marks ← epoch|copy|snap        upward only: batches of earlier epochs are refused from here on
 *     values   entries of the copy, marks staying at snap, as far as the destination counts them, so that a restart goes on
 *     sweep    keys that the copy does not hold are deleted; begins only behind the snapshot-end, which ingest publishes only
 *              after the RDB's checksum was verified, and only when the count is right (H22)
 *     live     marks ← epoch|copy|live|S
 *
 * Ingest publishes changes only behind the stored end of the lane's copy. Changes without that end mean that the bus has lost what
 * it had acknowledged (H7): the copy is never going to be complete.
 *
 * A newer epoch in the subject ends the copy half-way: its own copy follows. When it has begun in the changes, ingest removes what
 * is left of this one; what is missing then is missed by nobody.
 */
export class SnapshotPhase {
  readonly #session: LaneSession;
  readonly #fence: LoggedBatch;
  readonly #projection: Projection | null;
  readonly #parts = new PartAssembly();
  /** Keys of the copy, for the sweep; null where none is needed. */
  #held: KeySet | null = null;
  #values: SnapshotValue[] = [];
  #bytes = 0;
  #target: Position;
  #read = 0;
  #alarm: Promise<undefined> | null = null;

  constructor(session: LaneSession, fence: LoggedBatch) {
    this.#session = session;
    this.#fence = fence;
    this.#projection = session.options.projection ?? null;
    const { epoch, shard } = fence.batch;
    this.#target = { epoch, copy: FIRST_COPY, phase: "snap", shard, offset: 0, sequence: 0 };
  }

  /** True when the lane is live; false when a newer epoch began before the copy was complete, or the session ended. */
  async run(): Promise<boolean> {
    const { stream, pipeline, shard, lane, signal, log } = this.#session.options;
    await this.#claim();
    const snapshot = await LaneLog.open(stream, snapSubject(pipeline, FIRST_COPY, shard, lane), shard, 1, signal);
    try {
      for (
        let next = await this.#flushed(snapshot);
        next !== null;
        next = snapshot.nextIfReady() ?? (await this.#flushed(snapshot))
      ) {
        const { batch } = next;
        if (batch.epoch < this.#target.epoch) continue;
        if (batch.epoch > this.#target.epoch) return false;
        if (batch.kind === BatchKind.snapshotEnd) {
          await this.#flush();
          await this.#complete(batch, next.sequence);
          log.info({ epoch: batch.epoch, entries: batch.last }, "copy complete");
          return true;
        }
        this.#add(batch, next.sequence);
        if (this.#bytes >= GROUP_BYTES || this.#values.length >= GROUP_ENTRIES) await this.#flush();
      }
      return false;
    } catch (cause) {
      if (cause instanceof CopyNeeded && (await this.#isOver())) return false;
      if (cause instanceof Halt && mayBeDamage(cause)) {
        const isVerified = await this.#isVerified(cause);
        this.#session.options.report.tell({ retry: null });
        if (!isVerified) return false;
      }
      throw cause;
    } finally {
      await snapshot.close();
    }
  }

  /**
   * A value that can't be written may be damaged, which shows only at the copy's end: ingest closes none whose checksum is wrong,
   * and begins another. Resolves with what it turns out to be; false also when the session ended first.
   */
  async #isVerified(refusal: Halt): Promise<boolean> {
    const { stream, pipeline, shard, lane, clock, signal, report, log } = this.#session.options;
    const since = clock.nowMs();
    log.warn({ code: refusal.code }, `waiting for the copy's checksum: ${refusal.message}`);
    while (!signal.aborted) {
      if (await this.#isOver()) return false;
      const tail = await stream.tail(snapSubject(pipeline, FIRST_COPY, shard, lane));
      const last = tail === null ? null : decodeBatch(tail.payload);
      if (last !== null && last.epoch > this.#target.epoch) return false;
      if (last?.epoch === this.#target.epoch && last.kind === BatchKind.snapshotEnd) return true;
      const reason = `the copy's checksum, to tell whether a value is damaged: ${refusal.message}`;
      report.tell({ retry: { endpoint: `source ${shard}`, since, reason, isTurn: true } });
      await this.#requireEnd();
      await clock.sleep(LOOK_MS, signal);
    }
    return false;
  }

  /** Whether the lane's changes have gone on to a newer epoch. */
  async #isOver(): Promise<boolean> {
    const { stream, pipeline, shard, lane } = this.#session.options;
    const tail = await stream.tail(liveSubject(pipeline, shard, lane));
    return tail !== null && decodeBatch(tail.payload).epoch > this.#target.epoch;
  }

  async #claim(): Promise<void> {
    const { position, options } = this.#session;
    const { existing, isFirst } = options;
    const isEmpty = position === null && (await this.#session.destination.isEmpty());
    if (existing !== "overwrite" && !isEmpty) this.#held = new KeySet();
    if (position !== null && position.epoch === this.#target.epoch && position.phase === "snap") this.#target = position;
    // A destination that was flushed still has its function libraries.
    await this.#session.claim(this.#target, (isEmpty && isFirst) || existing === "overwrite");
  }

  #add(batch: Batch, sequence: number): void {
    if (batch.previous > this.#read)
      throw this.#incomplete(`message ${sequence} continues behind entry ${batch.previous}, ${this.#read} were read`);
    if (batch.part === null) {
      if (batch.rows instanceof SnapshotRows) this.#addRows(batch.rows, batch);
    } else {
      const parts = this.#parts.add(batch);
      if (parts === null) return;
      this.#addParts(parts);
    }
    this.#read = Math.max(this.#read, batch.last);
    if (batch.last > this.#target.offset) this.#target = { ...this.#target, offset: batch.last, sequence };
  }

  #addRows(rows: SnapshotRows, { body, previous }: Batch): void {
    let at = 0;
    for (let row = 0; row < rows.count; row++) {
      const keyEnd = at + (rows.keyLengths[row] as number);
      const end = at + (rows.lengths[row] as number);
      this.#addValue({ rows, row, key: body.subarray(at, keyEnd), value: [body.subarray(keyEnd, end)] }, previous + row);
      at = end;
    }
  }

  #addParts(parts: readonly Batch[]): void {
    const rows = parts[0]?.rows;
    if (!(rows instanceof SnapshotRows) || rows.count !== 1) throw this.#incomplete("a value in parts has no row");
    const bytes = parts.map(({ body }) => body);
    this.#addValue({ rows, row: 0, ...cutKey(bytes, rows.keyLengths[0] as number) }, parts[0]?.previous ?? 0);
  }

  /** `count`: entries of the lane before this one. */
  #addValue(value: SnapshotValue, count: number): void {
    const { rows, row, key } = value;
    if (this.#projection !== null && !isLoose(rows, row) && !place(this.#projection, rows, row, key)) return;
    if (!isLoose(rows, row)) this.#held?.add(rows.dbs[row] as number, key);
    if (count < (this.#session.position?.offset ?? 0)) return;
    this.#values.push(value);
    for (const piece of value.value) this.#bytes += piece.length;
  }

  /** The next batch of the copy, however long it takes to come. */
  async #flushed(snapshot: LaneLog): Promise<LoggedBatch | null> {
    await this.#flush();
    const waited = snapshot.next();
    // It may fail while the lane looks whether it can still come.
    waited.catch(() => undefined);
    for (;;) {
      const first = await Promise.race([waited, this.#lookDue()]);
      if (first !== undefined) return first;
      await this.#requireEnd();
    }
  }

  /** One timer for all waits; never resolves once the session is over. */
  async #lookDue(): Promise<undefined> {
    const { clock, signal } = this.#session.options;
    this.#alarm ??= clock.sleep(LOOK_MS, signal).then(async () => {
      this.#alarm = null;
      return signal.aborted ? new Promise<undefined>(() => undefined) : undefined;
    });
    return this.#alarm;
  }

  /** Throws `CopyNeeded` where the copy's end was stored and is gone. The changes are looked at first: the end is older. */
  async #requireEnd(): Promise<void> {
    const { stream, pipeline, shard, lane } = this.#session.options;
    const { epoch } = this.#target;
    const changes = await stream.tail(liveSubject(pipeline, shard, lane));
    const tail = changes === null ? null : decodeBatch(changes.payload);
    // A fence is set before the source is asked for anything, by an ingest that begins anew, too.
    if (tail?.epoch !== epoch || tail.kind === BatchKind.fence) return;
    const end = await stream.tail(snapSubject(pipeline, FIRST_COPY, shard, lane));
    const found = end === null ? null : decodeBatch(end.payload);
    if (found !== null && (found.epoch > epoch || (found.epoch === epoch && found.kind === BatchKind.snapshotEnd))) return;
    throw this.#incomplete("the bus has lost its end");
  }

  async #flush(): Promise<void> {
    // Entries that the group does not get are done with, too.
    if (this.#values.length === 0) return this.#session.options.report.copied(this.#target.offset);
    const values = this.#values;
    this.#values = [];
    this.#bytes = 0;
    await this.#session.applyValues(values, this.#target);
  }

  async #complete(end: Batch, sequence: number): Promise<void> {
    const { log } = this.#session.options;
    if (end.last !== this.#read)
      throw this.#incomplete(`${this.#read} entries were read, message ${sequence} says ${end.last}`);
    // A later term's fence is not where the copy stands: what led from there to it was removed.
    if (end.term !== this.#fence.batch.term)
      throw this.#incomplete(`it was written in term ${end.term}, the changes begin with term ${this.#fence.batch.term}`);
    if (this.#held !== null) {
      const swept = await this.#session.destination.sweep(this.#held);
      log.info({ kept: this.#held.size, swept }, "destination swept of keys that the source does not hold");
    }
    const { batch, sequence: fenceSequence } = this.#fence;
    await this.#session.goLive({ ...this.#target, phase: "live", offset: batch.last, sequence: fenceSequence });
  }

  #incomplete(what: string): CopyNeeded {
    return new CopyNeeded(`the copy of lane ${this.#session.label} is incomplete: ${what}`, this.#target.epoch);
  }
}

function mayBeDamage({ code, message }: Halt): boolean {
  return code === "SRC-004" || message.includes(UNREADABLE);
}

/** Puts the entry into the database that it has in the destination; false where the group does not get it. */
function place(projection: Projection, rows: SnapshotRows, row: number, key: Buffer): boolean {
  const db = projection.databaseOf(rows.dbs[row] as number, key);
  if (db === null) return false;
  rows.dbs[row] = db;
  return true;
}

/** The key at the begin of a value in parts, and what follows it, in pieces. */
function cutKey(bytes: readonly Buffer[], keyLength: number): { key: Buffer; value: Buffer[] } {
  const key: Buffer[] = [];
  const value: Buffer[] = [];
  let missing = keyLength;
  for (const piece of bytes) {
    const share = Math.min(missing, piece.length);
    if (share > 0) key.push(piece.subarray(0, share));
    if (share < piece.length) value.push(piece.subarray(share));
    missing -= share;
  }
  return { key: key.length === 1 ? (key[0] as Buffer) : Buffer.concat(key), value };
}
