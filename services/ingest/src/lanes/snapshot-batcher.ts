import {
  BATCH_OVERHEAD_BYTES,
  BatchKind,
  copyOffsetBody,
  encodeBatch,
  SnapshotRows,
  type Part,
  type SnapshotRow,
} from "@sluice/wire";
import type { BacklogBound } from "./backlog-bound.ts";
import type { BatchQueue, ClosedBatch, LaneHead } from "./lane-batch.ts";

/**
 * Collects the keys of a full copy that belong to one lane into batches, as `ChangeBatcher` does with units. Here `previous`
 * and `last` count keys. A value that was announced with `begin` leaves in parts.
 */
export class SnapshotBatcher implements BatchQueue {
  readonly #head: LaneHead;
  readonly #offset: number;
  readonly #maxBytes: number;
  readonly #backlog: BacklogBound;
  readonly #rows = new SnapshotRows(1024);
  readonly #body: Buffer;
  #bodyBytes = 0;
  readonly #closed: ClosedBatch[] = [];
  #taken: ClosedBatch | null = null;
  #previous = 0;
  #keys = 0;
  #partIndex = -1;

  /** `offset`: S, the source's offset that the copy stands for; `maxBytes`: of a whole message. */
  constructor(head: LaneHead, offset: number, maxBytes: number, backlog: BacklogBound) {
    this.#head = head;
    this.#offset = offset;
    this.#maxBytes = maxBytes - BATCH_OVERHEAD_BYTES;
    this.#body = Buffer.allocUnsafe(this.#maxBytes);
    this.#backlog = backlog;
  }

  get keys(): number {
    return this.#keys;
  }

  get isEmpty(): boolean {
    return this.#closed.length === 0 && this.#taken === null && this.#rows.count === 0 && this.#partIndex < 0;
  }

  /** The longest entry (key and value) that `add` takes; a longer one is announced with `begin`. */
  get longestEntryBytes(): number {
    return this.#maxBytes - this.#rows.rowBytes;
  }

  /** Adds a whole entry. `row.length` is the sum of both lengths. */
  add(row: SnapshotRow, key: Buffer, value: Buffer): void {
    if (row.length + this.#rows.rowBytes > this.#room) this.#close();
    this.#rows.add(row);
    this.#append(key);
    this.#append(value);
    this.#keys++;
  }

  /** An entry begins whose value comes with `addPart` and ends with `end`. */
  begin(row: SnapshotRow, key: Buffer): void {
    this.#close();
    this.#partIndex = 0;
    this.#rows.add(row);
    this.#appendInParts(key);
  }

  addPart(bytes: Buffer): void {
    this.#appendInParts(bytes);
  }

  end(): void {
    this.#keys++;
    this.#closePart(true);
    this.#partIndex = -1;
  }

  /**
   * The copy of this lane is complete, and the RDB it came from was verified. Nothing may be added any more. `saysOffset`: the end carries S,
   * where no fence says it.
   */
  finish(saysOffset = false): void {
    this.#close();
    if (saysOffset) this.#bodyBytes = copyOffsetBody(this.#offset).copy(this.#body);
    this.#enqueue(BatchKind.snapshotEnd, null);
  }

  take(): ClosedBatch | null {
    if (this.#closed.length === 0 && this.#partIndex < 0) this.#close();
    this.#taken = this.#closed.shift() ?? null;
    return this.#taken;
  }

  stored(): void {
    this.#backlog.remove(this.#taken?.message.length ?? 0);
    this.#taken = null;
  }

  get #room(): number {
    return this.#maxBytes - this.#bodyBytes - this.#rows.count * this.#rows.rowBytes;
  }

  #append(bytes: Buffer): void {
    bytes.copy(this.#body, this.#bodyBytes);
    this.#bodyBytes += bytes.length;
  }

  #appendInParts(bytes: Buffer): void {
    let at = 0;
    while (bytes.length - at > this.#room) {
      const share = this.#room;
      this.#append(bytes.subarray(at, at + share));
      at += share;
      this.#closePart(false);
    }
    this.#append(bytes.subarray(at));
  }

  #close(): void {
    if (this.#rows.count > 0) this.#enqueue(BatchKind.snapshot, null);
  }

  #closePart(final: boolean): void {
    this.#enqueue(BatchKind.snapshot, { id: this.#previous, index: this.#partIndex, final });
    this.#partIndex++;
  }

  #enqueue(kind: BatchKind, part: Part | null): void {
    const last = part === null || part.final ? this.#keys : this.#previous;
    const message = encodeBatch({
      ...this.#head,
      kind,
      previous: this.#previous,
      last,
      db: 0,
      rows: kind === BatchKind.snapshot ? this.#rows : null,
      body: this.#body.subarray(0, this.#bodyBytes),
      part,
      besideCopy: false,
    });
    this.#closed.push({ message, from: this.#offset });
    this.#backlog.add(message.length);
    this.#previous = last;
    this.#rows.clear();
    this.#bodyBytes = 0;
  }
}
