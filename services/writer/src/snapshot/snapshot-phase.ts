import { BatchKind, decodeBatch, snapSubject, SnapshotRows, type Batch, type Part, type Position } from "@sluice/wire";
import { Halt, Stopped } from "@sluice/runtime";
import type { CopyOrigin } from "../copies/copy-origin.ts";
import { CopyNeeded } from "../copy-needed.ts";
import type { SnapshotValue } from "../lane-destination.ts";
import type { LaneSession } from "../lane-session.ts";
import { LaneLog, type LoggedBatch } from "../progress/lane-log.ts";
import { PartSequence } from "../progress/part-sequence.ts";
import { turn } from "../progress/turn.ts";
import type { Projection } from "../project/projection.ts";
import { KeySet } from "./key-set.ts";
import { PartedEntry } from "./parted-entry.ts";
import { isLoose } from "./value-commands.ts";

/** Bounds of one step; see `LivePhase`. */
const GROUP_BYTES = 1024 * 1024;
const GROUP_ENTRIES = 8_192;
/** How a server refuses the value of a RESTORE that it can't read (cluster.c, `restoreCommand`). */
const UNREADABLE = "Bad data format";
/** So often a lane that waits for more of a copy looks whether it can still come. */
const LOOK_MS = 2_000;

/**
 * Writes a full copy of one lane, the one that an epoch begins with or one that was made for the group (`origin`), and ends with the lane live.
 *
 *     claim    marks ← epoch|copy|snap        upward only: batches of earlier epochs are refused from here on
 *     values   entries of the copy, marks staying at snap, as far as the destination counts them, so that a restart goes on
 *     sweep    keys that the copy does not hold are deleted; begins only behind the snapshot-end, which ingest publishes only
 *              after the RDB's checksum was verified, and only when the count is right (H22)
 *     live     marks ← epoch|copy|live|S
 *
 * An end that must be stored by now and is not there has been lost by the bus (H7): the copy is never going to be complete.
 *
 * A newer epoch in the subject ends the copy half-way: its own copy follows. When it has begun in the changes, or another copy has taken
 * the place of this one, ingest removes what is left of this one; what is missing then is missed by nobody.
 */
export class SnapshotPhase {
  readonly #session: LaneSession;
  readonly #origin: CopyOrigin;
  readonly #projection: Projection | null;
  readonly #parts = new PartSequence();
  /** Whose parts are coming. */
  #entry: PartedEntry | null = null;
  /** Keys of the copy, for the sweep; null where none is needed. */
  #held: KeySet | null = null;
  #values: SnapshotValue[] = [];
  #bytes = 0;
  #target: Position;
  #read = 0;
  /** Entries that are not written because their key is kept. */
  #keptEntries = 0;
  #alarm: Promise<undefined> | null = null;

  constructor(session: LaneSession, origin: CopyOrigin) {
    this.#session = session;
    this.#origin = origin;
    this.#projection = session.options.projection ?? null;
    const { epoch, copy, shard } = origin;
    this.#target = { epoch, copy, phase: "snap", shard, offset: 0, sequence: 0 };
  }

  /** True when the lane is live; false when a newer epoch or copy began before this one was complete, or the session ended. */
  async run(): Promise<boolean> {
    const { stream, shard, signal, log } = this.#session.options;
    await this.#claim();
    const snapshot = await LaneLog.open(stream, this.#subject, shard, 1, signal);
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
          const isLive = await this.#complete(batch, next.sequence);
          if (isLive) log.info({ epoch: batch.epoch, copy: this.#origin.copy, entries: batch.last }, "copy complete");
          return isLive;
        }
        if (batch.part === null) this.#entry = null;
        await this.#add(batch, next.sequence);
        if (this.#bytes >= GROUP_BYTES || this.#values.length >= GROUP_ENTRIES) await this.#flush();
      }
      return false;
    } catch (cause) {
      if (cause instanceof CopyNeeded && (await this.#origin.isOver())) return false;
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
    const { stream, shard, clock, signal, report, log } = this.#session.options;
    const since = clock.nowMs();
    log.warn({ code: refusal.code }, `waiting for the copy's checksum: ${refusal.message}`);
    while (!signal.aborted) {
      if (await this.#origin.isOver()) return false;
      const tail = await stream.tail(this.#subject);
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

  get #subject(): string {
    const { pipeline, shard, lane } = this.#session.options;
    return snapSubject(pipeline, this.#origin.copy, shard, lane);
  }

  async #claim(): Promise<void> {
    const { position, options } = this.#session;
    const { existing, isFirst } = options;
    const isEmpty = position === null && (await this.#session.destination.isEmpty());
    if (!isEmpty && isSwept(options, position === null)) this.#held = new KeySet();
    const { epoch, copy } = this.#target;
    if (position?.epoch === epoch && position.copy === copy && position.phase === "snap") this.#target = position;
    if (this.#target.offset === 0) this.#session.options.report.beginsCopy();
    // A destination that was flushed still has its function libraries.
    const isShared = existing === "overwrite" || existing === "keep";
    await this.#session.claim(this.#target, (isEmpty && isFirst) || isShared);
  }

  async #add(batch: Batch, sequence: number): Promise<void> {
    if (batch.previous > this.#read)
      throw this.#incomplete(`message ${sequence} continues behind entry ${batch.previous}, ${this.#read} were read`);
    if (batch.part === null) {
      if (batch.rows instanceof SnapshotRows) this.#addRows(batch.rows, batch);
    } else if (!(await this.#addPart(batch, batch.part, sequence))) return;
    this.#read = Math.max(this.#read, batch.last);
    if (batch.last > this.#target.offset) this.#target = { ...this.#target, offset: batch.last, sequence };
  }

  #addRows(rows: SnapshotRows, { body, previous }: Batch): void {
    let at = 0;
    for (let row = 0; row < rows.count; row++) {
      const keyEnd = at + (rows.keyLengths[row] as number);
      const end = at + (rows.lengths[row] as number);
      const value = { rows, row, key: body.subarray(at, keyEnd), value: [body.subarray(keyEnd, end)] };
      if (this.#isWanted(value, previous + row)) this.#collect(value);
      at = end;
    }
  }

  /** True once the entry is complete, and written. */
  async #addPart(batch: Batch, part: Part, sequence: number): Promise<boolean> {
    const { rows, body, previous, last } = batch;
    const place = this.#parts.take(part);
    if (place === "void") this.#entry = null;
    if (place === "begins") {
      if (!(rows instanceof SnapshotRows) || rows.count !== 1) throw this.#incomplete("a value in parts has no row");
      // Where it ends the lane stands behind it, and so behind all before it.
      await this.#flush();
      this.#entry = new PartedEntry(rows, {
        isWanted: (value) => this.#isWanted(value, previous),
        build: async (value) => this.#session.destination.build(value),
        again: () => this.#partsFrom(sequence),
      });
    }
    const entry = this.#entry;
    if (entry === null) return false;
    await turn();
    await entry.add(body);
    if (!part.final) return false;
    this.#entry = null;
    const written = await entry.end();
    if (written === null) return true;
    if ("value" in written) this.#collect(written);
    else await this.#session.applyBuilt(written, { ...this.#target, offset: last, sequence });
    return true;
  }

  /** The bodies of the parts of one entry, from the message of its first one on. */
  async *#partsFrom(sequence: number): AsyncGenerator<Buffer> {
    const { stream, shard, signal } = this.#session.options;
    const log = await LaneLog.open(stream, this.#subject, shard, sequence, signal);
    try {
      const sequenceOfParts = new PartSequence();
      for (let next = await log.next(); next !== null; next = await log.next()) {
        const { part, body } = next.batch;
        if (part === null || sequenceOfParts.take(part) === "void") break;
        yield body;
        if (part.final) return;
      }
    } finally {
      await log.close();
    }
    if (!signal.aborted) throw this.#incomplete(`the parts behind message ${sequence} are not there a second time`);
    throw new Stopped("SLU-003", "stopped before a stream of the copy was written");
  }

  /** Whether the entry is to be written. `count`: entries of the lane before this one. */
  #isWanted({ rows, row, key }: SnapshotValue, count: number): boolean {
    const kept = this.#projection?.keptAsked ?? 0;
    const isWanted = this.#projection === null || isLoose(rows, row) || place(this.#projection, rows, row, key);
    if ((this.#projection?.keptAsked ?? 0) !== kept) this.#session.options.report.passedEntries(++this.#keptEntries);
    if (!isWanted) return false;
    if (!isLoose(rows, row)) this.#held?.add(rows.dbs[row] as number, key);
    return count >= (this.#session.position?.offset ?? 0);
  }

  #collect(value: SnapshotValue): void {
    this.#values.push(value);
    for (const piece of value.value) this.#bytes += piece.length;
  }

  /** The next batch of the copy, however long it takes to come; null when it is over, or the session. */
  async #flushed(snapshot: LaneLog): Promise<LoggedBatch | null> {
    await this.#flush();
    const waited = snapshot.next();
    // It may fail while the lane looks whether it can still come.
    waited.catch(() => undefined);
    for (;;) {
      const first = await Promise.race([waited, this.#lookDue()]);
      if (first !== undefined) return first;
      if (await this.#origin.isOver()) return null;
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

  /** Throws `CopyNeeded` where the copy's end was stored and is gone. What tells that is looked at first: the end is older. */
  async #requireEnd(): Promise<void> {
    const { epoch } = this.#target;
    if (!(await this.#origin.isEndDue())) return;
    const end = await this.#session.options.stream.tail(this.#subject);
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

  /** False when the copy is over before it is known where the lane goes on behind it. */
  async #complete(end: Batch, sequence: number): Promise<boolean> {
    const { log } = this.#session.options;
    if (end.last !== this.#read)
      throw this.#incomplete(`${this.#read} entries were read, message ${sequence} says ${end.last}`);
    const landing = await this.#origin.landing(end, sequence);
    if (landing === null) return false;
    const held = this.#held;
    if (held !== null) {
      const kept = this.#session.options.keeping?.kept;
      const has = (db: number, key: Buffer): boolean => held.has(db, key) || kept?.has(db, key) === true;
      const swept = await this.#session.destination.sweep({ has });
      log.info({ held: held.size, swept }, "destination swept of keys that the source does not hold");
    }
    await this.#session.goLive({ ...this.#target, ...landing, phase: "live" });
    return true;
  }

  #incomplete(what: string): CopyNeeded {
    return new CopyNeeded(`the copy of lane ${this.#session.label} is incomplete: ${what}`, this.#target.epoch);
  }
}

/**
 * Whether a copy into a destination that holds something deletes there what the source does not. With `existing: keep` the first one need not:
 * all that stands there is kept, and what others write meanwhile is left to later copies. It is the first one only where the shard's slots never
 * changed hands: a lane that nobody knows may have got slots that another one had copied.
 */
export function isSwept(
  { existing, isFirst, floor }: Pick<LaneSession["options"], "existing" | "isFirst" | "floor">,
  isUnmarked: boolean,
): boolean {
  return existing !== "overwrite" && !(existing === "keep" && isUnmarked && isFirst && floor === 0);
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
