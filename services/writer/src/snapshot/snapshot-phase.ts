import type { Endpoint } from "@sluice/redis";
import { Halt, printable } from "@sluice/runtime";
import { BatchKind, snapSubject, SnapshotRows, SnapshotType, type Batch, type Position } from "@sluice/wire";
import { Request } from "../apply/request.ts";
import { GroupRefused } from "../apply/standalone-destination.ts";
import type { LaneSession } from "../lane-session.ts";
import { LaneLog, type LoggedBatch } from "../progress/lane-log.ts";
import { PartAssembly } from "../progress/part-assembly.ts";
import { KeySet } from "./key-set.ts";
import { staleKeys } from "./sweep.ts";
import { addValue } from "./value-request.ts";

/** Bounds of one transaction; see `LivePhase`. */
const GROUP_BYTES = 1024 * 1024;
const GROUP_COMMANDS = 8_192;
/** Copies are numbered inside an epoch; the one that an epoch begins with is for all groups. */
const FIRST_COPY = 1;
const UNLINK_SINCE = 40_000;
const FUNCTIONS_SINCE = 70_000;

/**
 * Writes the full copy of one lane that an epoch begins with, and ends with the lane's mark at `live`.
 *
 *     claim   mark ← epoch|copy|snap|0       upward only: batches of earlier epochs are refused from here on
 *     keys    mark ← epoch|copy|snap|n       with every group of keys, so that a restart goes on where it stood
 *     sweep   keys that the copy does not hold are deleted; begins only behind the snapshot-end, which ingest publishes only
 *             after the RDB's checksum was verified, and only when the count is right (H22)
 *     flip    mark ← epoch|copy|live|S
 *
 * Everything goes through `apply`. A newer epoch in the subject ends the copy half-way: its own copy follows.
 */
export class SnapshotPhase {
  readonly #session: LaneSession;
  readonly #endpoint: Endpoint;
  readonly #fence: LoggedBatch;
  readonly #parts = new PartAssembly();
  /** Keys of the copy, for the sweep; null where none is needed. */
  #held: KeySet | null = null;
  #request = new Request();
  #db = 0;
  #target: Position;
  #read = 0;

  constructor(session: LaneSession, endpoint: Endpoint, fence: LoggedBatch) {
    this.#session = session;
    this.#endpoint = endpoint;
    this.#fence = fence;
    const { epoch, shard } = fence.batch;
    this.#target = { epoch, copy: FIRST_COPY, phase: "snap", shard, offset: 0, sequence: 0 };
  }

  /** True when the lane is live; false when a newer epoch began before the copy was complete, or the session ended. */
  async run(): Promise<boolean> {
    const { stream, pipeline, shard, lane, signal, log } = this.#session.options;
    await this.#claim();
    const snapshot = await LaneLog.open(stream, snapSubject(pipeline, FIRST_COPY, shard, lane), 1, signal);
    try {
      for (let next = await snapshot.next(); next !== null; next = snapshot.nextIfReady() ?? (await this.#flushed(snapshot))) {
        const { batch } = next;
        if (batch.epoch < this.#target.epoch) continue;
        if (batch.epoch > this.#target.epoch) return false;
        if (batch.kind === BatchKind.snapshotEnd) {
          await this.#flush();
          await this.#complete(batch, next.sequence);
          log.info({ epoch: batch.epoch, keys: batch.last }, "copy complete");
          return true;
        }
        this.#add(batch, next.sequence);
        if (this.#request.bytes >= GROUP_BYTES || this.#request.commands >= GROUP_COMMANDS) await this.#flush();
      }
      return false;
    } finally {
      await snapshot.close();
    }
  }

  async #claim(): Promise<void> {
    const { position, options, target } = this.#session;
    const { existing } = options;
    // A destination that was empty when its first copy began holds nothing stale.
    const isFirst = position === null && existing === "refuse";
    if (existing !== "overwrite" && !isFirst) this.#held = new KeySet();
    if (position !== null && position.epoch === this.#target.epoch && position.phase === "snap") {
      this.#target = position;
      return;
    }
    const request = new Request();
    if (this.#held !== null && target.version >= FUNCTIONS_SINCE) request.addCommand(["FUNCTION", "FLUSH"]);
    await this.#session.apply(request, this.#target, 0);
  }

  #add(batch: Batch, sequence: number): void {
    if (batch.previous > this.#read) throw this.#incomplete(`message ${sequence} continues behind key ${batch.previous}, ${this.#read} were read`);
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
    let count = previous;
    for (let row = 0; row < rows.count; row++) {
      const keyEnd = at + (rows.keyLengths[row] as number);
      const end = at + (rows.lengths[row] as number);
      this.#addRow(rows, row, body.subarray(at, keyEnd), [body.subarray(keyEnd, end)], count);
      count++;
      at = end;
    }
  }

  #addParts(parts: readonly Batch[]): void {
    const rows = parts[0]?.rows;
    if (!(rows instanceof SnapshotRows) || rows.count !== 1) throw this.#incomplete("a value in parts has no row");
    const bytes = parts.map(({ body }) => body);
    const { key, value } = cutKey(bytes, rows.keyLengths[0] as number);
    this.#addRow(rows, 0, key, value, parts[0]?.previous ?? 0);
  }

  /** `count`: entries of the lane before this one. */
  #addRow(rows: SnapshotRows, row: number, key: Buffer, value: readonly Buffer[], count: number): void {
    if (isKey(rows, row)) {
      this.#held?.add(rows.dbs[row] as number, key);
      if (count >= this.#applied) this.#select(rows.dbs[row] as number);
    }
    if (count < this.#applied) return;
    addValue(this.#request, rows, row, key, value, { version: this.#session.target.version, shift: this.#session.shift });
  }

  /** Entries of this copy that the destination holds already. */
  get #applied(): number {
    return this.#session.position?.offset ?? 0;
  }

  #select(db: number): void {
    if (db === this.#db) return;
    this.#request.addCommand(["SELECT", db]);
    this.#db = db;
  }

  async #flushed(snapshot: LaneLog): Promise<LoggedBatch | null> {
    await this.#flush();
    return snapshot.next();
  }

  async #flush(): Promise<void> {
    const { position } = this.#session;
    if (this.#request.commands === 0 && position?.offset === this.#target.offset) return;
    const keys = this.#target.offset - (position?.offset ?? 0);
    const request = this.#request;
    this.#request = new Request();
    this.#db = 0;
    await this.#apply(request, this.#target, keys);
  }

  async #apply(request: Request, next: Position, units: number): Promise<void> {
    try {
      await this.#session.apply(request, next, units);
    } catch (cause) {
      if (!(cause instanceof GroupRefused)) throw cause;
      throw new Halt("DST-002", `${this.#session.destination} refuses a part of the copy: ${printable(cause.error)}`, { cause });
    }
  }

  async #complete(end: Batch, sequence: number): Promise<void> {
    if (end.last !== this.#read) throw this.#incomplete(`${this.#read} keys were read, message ${sequence} says ${end.last}`);
    await this.#sweep();
    const { batch, sequence: fenceSequence } = this.#fence;
    await this.#apply(new Request(), { ...this.#target, phase: "live", offset: batch.last, sequence: fenceSequence }, 0);
  }

  async #sweep(): Promise<void> {
    if (this.#held === null) return;
    const { signal, log } = this.#session.options;
    const remove = this.#session.target.version >= UNLINK_SINCE ? "UNLINK" : "DEL";
    let swept = 0;
    for await (const { db, keys } of staleKeys(this.#session.destination, this.#endpoint, this.#held, signal)) {
      const request = new Request();
      request.addCommand(["SELECT", db]);
      request.addCommand([remove, ...keys]);
      await this.#apply(request, this.#target, 0);
      swept += keys.length;
    }
    log.info({ kept: this.#held.size, swept }, "destination swept of keys that the source does not hold");
  }

  #incomplete(what: string): Halt {
    return new Halt("BUS-003", `the copy of lane ${this.#session.label} is incomplete: ${what}`);
  }
}

function isKey(rows: SnapshotRows, row: number): boolean {
  const type = rows.types[row];
  return type !== SnapshotType.functionLibrary && type !== SnapshotType.script;
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
