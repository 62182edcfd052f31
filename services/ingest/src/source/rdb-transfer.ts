import type { RdbReader } from "@sluice/redis";
import { printable, Retryable } from "@sluice/runtime";
import { noCopyFault } from "./psync-reply.ts";

const MARKER_BYTES = 40;
const LONGEST_HEADER_BYTES = 1024;
const LF = 10;

/**
 * The RDB on a replication link, in both forms:
 *
 *     transfer = *LF ( "$" length CRLF rdb | "$EOF:" marker CRLF rdb marker )      marker = 40 bytes
 *
 * Newlines keep the link alive while the source forks. A disk-based RDB has no line end behind it. The diskless form ends where
 * the marker follows the RDB's own end; the source sends nothing more before the first acknowledgement.
 */
export class RdbTransfer {
  readonly #reader: RdbReader;
  readonly #endpoint: string;
  #state: "header" | "rdb" | "marker" | "done" = "header";
  #header = Buffer.alloc(0);
  #marker: Buffer | null = null;
  #announced = -1;
  #passed = 0;
  #seen = Buffer.alloc(0);

  /** `endpoint`: as faults name who sends it. */
  constructor(reader: RdbReader, endpoint: string) {
    this.#reader = reader;
    this.#endpoint = endpoint;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** True for the `$EOF` form. */
  get isDiskless(): boolean {
    return this.#marker !== null;
  }

  /** Nothing has come yet but newlines. */
  get isAwaited(): boolean {
    return this.#state === "header" && this.#header.length === 0;
  }

  /** Bytes of the RDB as announced; 0 while unknown and for the `$EOF` form. */
  get announcedBytes(): number {
    return Math.max(0, this.#announced);
  }

  /** Bytes of the RDB so far. */
  get passedBytes(): number {
    return this.#passed;
  }

  /** Takes the next bytes of the link and returns how many belong to the transfer: all of them until it is done. */
  push(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#state !== "done") {
      if (this.#state === "header") at = this.#pushHeader(chunk, at);
      else if (this.#state === "rdb") at = this.#pushRdb(chunk, at);
      else at = this.#pushMarker(chunk, at);
    }
    return at;
  }

  #pushHeader(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#header.length === 0) while (at < chunk.length && chunk[at] === LF) at++;
    const end = chunk.indexOf(LF, at);
    const until = end < 0 ? chunk.length : end + 1;
    this.#header = Buffer.concat([this.#header, chunk.subarray(at, until)]);
    if (this.#header.length > LONGEST_HEADER_BYTES) throw this.#refused(this.#header.toString("latin1", 0, 80));
    if (end >= 0) this.#readHeader(this.#header.toString("latin1").replace(/\r?\n$/, ""));
    return until;
  }

  #readHeader(line: string): void {
    // replication.c, `replicationSetupSlaveForFullResync` and behind it: "-ERR BGSAVE failed, replication can't continue".
    if (line.startsWith("-")) throw noCopyFault(this.#endpoint, line);
    const fields = /^\$(?:EOF:(.{40})|(\d{1,15}))$/s.exec(line);
    if (fields === null) throw this.#refused(line);
    if (fields[1] === undefined) this.#announced = Number(fields[2]);
    else this.#marker = Buffer.from(fields[1], "latin1");
    this.#state = "rdb";
  }

  #pushRdb(chunk: Buffer, from: number): number {
    const room = this.#announced < 0 ? chunk.length - from : Math.min(chunk.length - from, this.#announced - this.#passed);
    const taken = this.#reader.push(chunk.subarray(from, from + room));
    this.#passed += taken;
    const isShort = this.#announced >= 0 && this.#passed === this.#announced && !this.#reader.done;
    const isLong = this.#announced >= 0 && this.#passed < this.#announced && this.#reader.done;
    if (isShort) this.#reader.finish();
    if (isLong) throw this.#refused(`an RDB of ${this.#passed} bytes where ${this.#announced} were announced`);
    if (this.#reader.done) this.#state = this.#marker === null ? "done" : "marker";
    return from + taken;
  }

  #pushMarker(chunk: Buffer, from: number): number {
    const until = Math.min(chunk.length, from + MARKER_BYTES - this.#seen.length);
    this.#seen = Buffer.concat([this.#seen, chunk.subarray(from, until)]);
    if (this.#seen.length === MARKER_BYTES) {
      if (this.#marker === null || !this.#seen.equals(this.#marker))
        throw this.#refused("another end marker than the one that was announced");
      this.#state = "done";
    }
    return until;
  }

  #refused(read: string): Retryable {
    return new Retryable(
      "SRC-004",
      this.#endpoint,
      `full copy: read ${printable(read.slice(0, 80))}; expected $<length> or $EOF:<marker> and an RDB of that form`,
    );
  }
}
