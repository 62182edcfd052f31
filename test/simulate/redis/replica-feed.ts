import type { SimSession } from "./sim-session.ts";

/** A full copy on its way: all of it is there, and goes out in pieces. */
interface Copy {
  readonly bytes: Buffer;
  sent: number;
}

/**
 * The replication stream of one session that poses as a replica. What is written while the RDB travels waits behind it; behind an
 * RDB without a length also until the replica acknowledges for the first time (replication.c, `replicaPutOnline`).
 */
export class ReplicaFeed {
  readonly #session: SimSession;
  readonly #chunkBytes: number;
  readonly #isDiskless: boolean;
  readonly #isRdbOnly: boolean;
  #copy: Copy | null;
  #awaitsAck: boolean;
  #waiting: Buffer[] = [];
  /** Offset of the last REPLCONF ACK; -1 before the first. */
  acknowledged = -1;

  /** `copy`: null for a continuation. `chunkBytes`: Infinity sends the copy at once. */
  constructor(
    session: SimSession,
    copy: Buffer | null,
    chunkBytes: number,
    form: { readonly isDiskless: boolean; readonly isRdbOnly: boolean },
  ) {
    this.#session = session;
    this.#copy = copy === null ? null : { bytes: copy, sent: 0 };
    this.#chunkBytes = chunkBytes;
    this.#isDiskless = form.isDiskless;
    this.#isRdbOnly = form.isRdbOnly;
    this.#awaitsAck = copy !== null && form.isDiskless;
  }

  /** As INFO says it. */
  get state(): "send_bulk" | "online" {
    return this.#copy === null ? "online" : "send_bulk";
  }

  write(bytes: Buffer): void {
    if (this.#isRdbOnly) return;
    if (this.#copy !== null || this.#awaitsAck) this.#waiting.push(bytes);
    else this.#session.send(bytes);
  }

  /** Sends the next piece of the copy, or all that is left of it. */
  pump(everything = this.#chunkBytes === Infinity): void {
    const copy = this.#copy;
    if (copy === null) return;
    const end = everything ? copy.bytes.length : Math.min(copy.bytes.length, copy.sent + this.#chunkBytes);
    this.#session.send(copy.bytes.subarray(copy.sent, end));
    copy.sent = end;
    if (end < copy.bytes.length) return;
    this.#copy = null;
    if (this.#isRdbOnly) this.#session.hangUp();
    else if (!this.#isDiskless) this.#release();
  }

  acknowledge(offset: number): void {
    this.acknowledged = Math.max(this.acknowledged, offset);
    if (this.#copy !== null || !this.#awaitsAck) return;
    this.#awaitsAck = false;
    this.#release();
  }

  #release(): void {
    if (this.#awaitsAck || this.#waiting.length === 0) return;
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#session.send(bytes);
  }
}
