import { BATCH_OVERHEAD_BYTES, BatchKind, ChangeFlag, ChangeRows, encodeBatch, type Part } from "@sluice/wire";
import type { BacklogBound } from "./backlog-bound.ts";
import type { BatchQueue, ClosedBatch, LaneHead } from "./lane-batch.ts";

/** A batch's rows hold 32-bit distances from `previous`; a longer silence of a lane is bridged by a heartbeat first. */
const LONGEST_SPAN = 2 ** 31;

/** One command on its way into a batch: an extent in somebody's buffer, which is copied. */
export interface RawCommand {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly argc: number;
  /** Bytes of `*<argc>\r\n`. */
  readonly headerLength: number;
}

/**
 * Collects the units of one lane into batches.
 *
 * The lane publishes one batch at a time. Whatever arrives meanwhile goes into the open batch, which is closed when the
 * publisher comes for it or when it is full. So batches are one command long on a quiet lane and as large as a message can be
 * on a busy one, without a timer:
 *
 *     source    a   b c d e f   g h i j k l m …
 *     publish   [a]─────▶[b c d e f]─────▶[g h i j k l m]─────▶
 *                  stored ▲          stored ▲
 *
 * `previous` and `last` chain the batches in the order in which they are closed, which is the order in which they are
 * published. A unit is added between `beginUnit` and `endUnit`. One that does not fit the open batch moves to a new one; one
 * that fits no batch leaves in parts while it is still being read, whose `last` stays at `previous` until the final one (so a
 * resume never starts inside it).
 */
export class ChangeBatcher implements BatchQueue {
  readonly #maxBytes: number;
  readonly #backlog: BacklogBound;
  #head: LaneHead;
  #rows = new ChangeRows(1024);
  #body: Buffer;
  #bodyBytes = 0;
  readonly #closed: ClosedBatch[] = [];
  #takenFrom = Infinity;
  #takenBytes = 0;
  /** End of the last unit in a closed batch, and of the last unit of all. */
  #previous: number;
  #last: number;
  #lastDb: number;
  /** Where the first unit of the open batch begins. */
  #from = Infinity;
  #unitFrom = -1;
  #unitRow = 0;
  #unitBody = 0;
  #partIndex = 0;
  #besideCopy = false;
  #besideBytes = 0;

  /** `maxBytes`: of a whole message. `last`, `db`: where the lane's tail stands. */
  constructor(head: LaneHead, last: number, db: number, maxBytes: number, backlog: BacklogBound) {
    this.#head = head;
    this.#maxBytes = maxBytes - BATCH_OVERHEAD_BYTES;
    this.#body = Buffer.allocUnsafe(this.#maxBytes);
    this.#previous = last;
    this.#last = last;
    this.#lastDb = db;
    this.#backlog = backlog;
  }

  /** End of the last unit that was added. */
  get last(): number {
    return this.#last;
  }

  /** Nothing waits and nothing is on its way. */
  get isEmpty(): boolean {
    return this.#closed.length === 0 && this.#takenFrom === Infinity && this.#rows.count === 0 && this.#unitFrom < 0;
  }

  /** Where the first unit begins that JetStream has not stored; infinite when there is none. */
  get unstoredFrom(): number {
    const waiting = this.#closed[0]?.from ?? this.#from;
    return Math.min(this.#takenFrom, waiting, this.#unitFrom < 0 ? Infinity : this.#unitFrom);
  }

  /** Whether the lane's copy is on its way: what is closed from now on says so. */
  set besideCopy(isSo: boolean) {
    this.#besideCopy = isSo;
  }

  /** Bytes of the messages that say so. */
  get besideBytes(): number {
    return this.#besideBytes;
  }

  /** A unit begins behind offset `from`. */
  beginUnit(from: number): void {
    if (from - this.#previous > LONGEST_SPAN) {
      this.#close();
      if (from - this.#previous > LONGEST_SPAN) this.heartbeat(from, this.#lastDb);
    }
    this.#unitFrom = from;
    this.#unitRow = this.#rows.count;
    this.#unitBody = this.#bodyBytes;
    this.#partIndex = 0;
  }

  /**
   * Adds a command to the unit that is open.
   * `flags`: `ChangeFlag.expiry` and `ChangeFlag.barrier`; where a unit begins and ends is seen to here.
   */
  add(command: RawCommand, slot: number, db: number, flags: number): void {
    const { start, end, argc, headerLength } = command;
    const length = end - start;
    if (!this.#fits(length)) this.#makeRoom();
    const isFirst = this.#partIndex === 0 && this.#rows.count === this.#unitRow;
    this.#rows.add(length, argc, 0, slot, db, isFirst ? flags | ChangeFlag.first : flags, headerLength);
    let at = start;
    while (end - at > this.#bodyRoom) {
      // Larger than a message: it leaves in parts of which the first carries its row.
      const share = this.#bodyRoom;
      this.#append(command.buffer, at, at + share);
      at += share;
      this.#closePart(false);
    }
    this.#append(command.buffer, at, end);
  }

  /** The unit is complete: it ends at offset `end`, where the source's stream has `db` selected. */
  endUnit(end: number, db: number): void {
    this.#last = end;
    this.#lastDb = db;
    if (this.#partIndex > 0) {
      if (this.#rows.count > 0) this.#markLast();
      this.#closePart(true, end);
      this.#unitFrom = -1;
      return;
    }
    this.#markLast();
    const distance = end - this.#previous;
    for (let row = this.#unitRow; row < this.#rows.count; row++) this.#rows.ends[row] = distance;
    this.#from = Math.min(this.#from, this.#unitFrom);
    this.#unitFrom = -1;
  }

  /** Tells the lane that there was nothing for it up to `last`. Only between units and when the open batch is empty. */
  heartbeat(last: number, db: number): void {
    this.#last = last;
    this.#lastDb = db;
    // Holds no unit: what may be acknowledged does not wait for it.
    this.#enqueue(BatchKind.heartbeat, last, last, null);
  }

  take(): ClosedBatch | null {
    if (this.#closed.length === 0 && this.#rows.count > 0 && this.#completeRows > 0) this.#close();
    const batch = this.#closed.shift();
    if (batch === undefined) return null;
    this.#takenFrom = batch.from;
    this.#takenBytes = batch.message.length;
    return batch;
  }

  stored(): void {
    this.#takenFrom = Infinity;
    this.#backlog.remove(this.#takenBytes);
    this.#takenBytes = 0;
  }

  get #completeRows(): number {
    return this.#unitFrom < 0 ? this.#rows.count : this.#unitRow;
  }

  get #bodyRoom(): number {
    return this.#maxBytes - this.#bodyBytes - this.#rows.count * this.#rows.rowBytes;
  }

  #fits(length: number): boolean {
    return length + this.#rows.rowBytes <= this.#bodyRoom;
  }

  #append(from: Buffer, start: number, end: number): void {
    from.copy(this.#body, this.#bodyBytes, start, end);
    this.#bodyBytes += end - start;
  }

  #markLast(): void {
    const row = this.#rows.count - 1;
    this.#rows.flags[row] = (this.#rows.flags[row] as number) | ChangeFlag.last;
  }

  /** The open batch can't take the next command of the open unit: close what precedes the unit, or else send the unit's first part. */
  #makeRoom(): void {
    if (this.#partIndex === 0 && this.#unitRow > 0) this.#close();
    else if (this.#rows.count > 0 || this.#bodyBytes > 0) this.#closePart(false);
  }

  /** Closes the open batch with its complete units; the rows of a unit that is still open move to the next batch. */
  #close(): void {
    const complete = this.#completeRows;
    if (complete === 0) return;
    const from = this.#from;
    this.#from = Infinity;
    if (complete === this.#rows.count) {
      this.#enqueue(BatchKind.changes, this.#last, from, null);
    } else {
      const whole = this.#rows;
      const rest = new ChangeRows(whole.count);
      for (let row = complete; row < whole.count; row++) rest.copyRow(whole, row);
      const body = Buffer.from(this.#body.subarray(this.#unitBody, this.#bodyBytes));
      whole.truncate(complete);
      this.#bodyBytes = this.#unitBody;
      this.#enqueue(BatchKind.changes, this.#last, from, null);
      this.#rows = rest;
      this.#append(body, 0, body.length);
    }
    this.#unitRow = 0;
    this.#unitBody = 0;
  }

  #closePart(final: boolean, last = this.#previous): void {
    const part: Part = { id: this.#previous, index: this.#partIndex, final };
    this.#partIndex = final ? 0 : this.#partIndex + 1;
    this.#enqueue(BatchKind.changes, last, this.#unitFrom, part);
    this.#unitRow = 0;
    this.#unitBody = 0;
  }

  #enqueue(kind: BatchKind, last: number, from: number, part: Part | null): void {
    const message = encodeBatch({
      ...this.#head,
      kind,
      previous: this.#previous,
      last,
      db: this.#lastDb,
      rows: kind === BatchKind.changes ? this.#rows : null,
      body: this.#body.subarray(0, kind === BatchKind.changes ? this.#bodyBytes : 0),
      part,
      besideCopy: this.#besideCopy,
    });
    this.#previous = last;
    if (kind === BatchKind.changes) {
      this.#rows.clear();
      this.#bodyBytes = 0;
    }
    this.#backlog.add(message.length);
    if (this.#besideCopy) this.#besideBytes += message.length;
    this.#closed.push({ message, from });
  }
}
