import { bulk } from "./sim-reply.ts";

export const NO_REPLID = "0".repeat(40);

/** One command of a replication stream, with its bytes (one character each). */
export interface StreamItem {
  readonly args: readonly string[];
  readonly text: string;
}

export function encodeItem(args: readonly string[]): StreamItem {
  let text = `*${args.length}\r\n`;
  for (const arg of args) text += bulk(arg);
  return { args, text };
}

const MULTI = encodeItem(["MULTI"]);
const EXEC = encodeItem(["EXEC"]);
const PING = encodeItem(["ping"]);

interface Chunk {
  /** Offset of its first byte. */
  readonly start: number;
  readonly bytes: Buffer;
}

export interface LogListener {
  /** One command, as it is written. */
  take(item: StreamItem): void;
}

/**
 * What a server tells its replicas: the history's ids, its offset, and the newest bytes of it (replication.c). Without a backlog
 * nothing is counted: nobody listens.
 */
export class ReplicationLog {
  replid: string;
  replid2 = NO_REPLID;
  /** First offset that belongs to `replid` alone; -1 without `replid2`. */
  secondOffset = -1;
  offset = 0;
  /** Database of the last SELECT written; -1 when the next command has to select. */
  selectedDb = -1;
  readonly listeners = new Set<LogListener>();
  readonly #limitBytes: number;
  readonly #selectsInside: boolean;
  #isKept = false;
  #chunks: Chunk[] = [];
  #keptBytes = 0;
  #fresh: string[] = [];

  /** `selectsInside`: see `write`. */
  constructor(replid: string, limitBytes: number, selectsInside: boolean) {
    this.replid = replid;
    this.#limitBytes = limitBytes;
    this.#selectsInside = selectsInside;
  }

  /** A backlog exists, so that the stream is counted. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /** Offset of the oldest byte that can be had. */
  get firstOffset(): number {
    const oldest = this.#chunks[0]?.start ?? this.offset + 1;
    return Math.max(oldest, this.offset + 1 - this.#limitBytes);
  }

  /** Begins to keep a backlog, from here on. */
  keep(): void {
    this.#isKept = true;
  }

  /** Drops the backlog. */
  drop(): void {
    this.#isKept = false;
    this.#chunks = [];
    this.#keptBytes = 0;
    this.#fresh = [];
  }

  /** A new id; the former one is forgotten. */
  renew(replid: string): void {
    this.replid = replid;
    this.replid2 = NO_REPLID;
    this.secondOffset = -1;
  }

  /** A new id; up to here the history may be continued with the former one (`shiftReplicationId`). */
  shift(replid: string): void {
    this.replid2 = this.replid;
    this.secondOffset = this.offset + 1;
    this.replid = replid;
  }

  /**
   * Writes what belongs together: with more than one command as a transaction. The first SELECT stands before MULTI; those between
   * the commands stand inside (7.0; from 7.2 on all of them do).
   */
  write(effects: readonly { readonly db: number; readonly args: readonly string[] }[], isTransaction: boolean): void {
    if (!this.#isKept || effects.length === 0) return;
    const isWrapped = isTransaction && effects.length > 1;
    if (isWrapped && !this.#selectsInside) this.#select(effects[0]?.db ?? 0);
    if (isWrapped) this.append(MULTI);
    for (const { db, args } of effects) {
      this.#select(db);
      this.append(encodeItem(args));
    }
    if (isWrapped) this.append(EXEC);
  }

  #select(db: number): void {
    if (db === this.selectedDb) return;
    this.append(encodeItem(["SELECT", String(db)]));
    this.selectedDb = db;
  }

  ping(): void {
    if (this.#isKept) this.append(PING);
  }

  /** Writes one command as it is. */
  append(item: StreamItem): void {
    this.offset += item.text.length;
    this.#fresh.push(item.text);
    for (const listener of this.listeners) listener.take(item);
  }

  /** What was written since the last call; empty when nothing was. */
  takeFresh(): Buffer | null {
    if (this.#fresh.length === 0) return null;
    const bytes = Buffer.from(this.#fresh.join(""), "latin1");
    this.#fresh = [];
    this.#chunks.push({ start: this.offset - bytes.length + 1, bytes });
    this.#keptBytes += bytes.length;
    while (this.#chunks.length > 1 && this.#keptBytes - (this.#chunks[0]?.bytes.length ?? 0) >= this.#limitBytes) {
      this.#keptBytes -= this.#chunks.shift()?.bytes.length ?? 0;
    }
    return bytes;
  }

  /** Whether a replica of `replid` that has everything before `from` can go on (`masterTryPartialResynchronization`). */
  canContinue(replid: string, from: number): boolean {
    const isOwn = replid === this.replid || (replid === this.replid2 && from <= this.secondOffset);
    return isOwn && this.#isKept && from >= this.firstOffset && from <= this.offset + 1;
  }

  /** The bytes from that offset on; all of them are kept. Call `takeFresh` first. */
  since(from: number): Buffer {
    const parts = this.#chunks
      .filter(({ start, bytes }) => start + bytes.length > from)
      .map(({ start, bytes }) => (start >= from ? bytes : bytes.subarray(from - start)));
    return Buffer.concat(parts);
  }
}
