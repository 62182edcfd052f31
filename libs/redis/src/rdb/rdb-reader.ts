import { Crc64 } from "../crc64.ts";
import { RdbError } from "./rdb-error.ts";
import { CHECKSUM_BYTES, RdbParser } from "./rdb-parser.ts";
import type { RdbSink } from "./rdb-sink.ts";

const NONE = Buffer.alloc(0);

const DEFAULT_PART_BYTES = 512 * 1024;
const DEFAULT_MAX_BUFFERED_BYTES = 64 * 1024 * 1024;

/** The reader's own buffer is let go when it is empty and larger than this plus `partBytes`. */
const KEPT_BUFFER_BYTES = 1024 * 1024;

/** verified: it matched; disabled: the server writes none (`rdbchecksum no`); absent: an RDB before version 5. */
export type RdbChecksum = "verified" | "disabled" | "absent";

export interface RdbReaderOptions {
  /** The longest key, aux field or function library, which are held whole; a longer one is an RdbError. Default 64 MiB. */
  readonly maxBufferedBytes?: number;
  /** The largest value delivered in one piece, and the size of the parts of larger ones. Default 512 KiB. */
  readonly partBytes?: number;
  /**
   * What happens at a value of a later version whose end can be found, and at metadata that a module attached to a key: `halt`, the
   * default, is an RdbError that names key, type and place; `skip` passes it over and tells the sink. What has no known end is an
   * RdbError in any case.
   */
  readonly unknown?: "halt" | "skip";
}

/**
 * Reads an RDB of Redis (version 1 to 13) or Valkey (11; 80 and 81) from chunks of any size and cuts it into keys and raw values, which are never decoded.
 *
 * A chunk is read in place. What is still needed of it afterwards (the start of a record, a value that is not complete) is carried
 * over in a buffer of the reader's own, to which the next chunk is then appended: copying costs far less than the checksum. So
 * memory is bounded by `maxBufferedBytes`, `partBytes` and the size of a chunk, and grows only with bytes that came, whatever sizes
 * the file declares. The checksum takes in what has been passed, in one run per chunk.
 */
export class RdbReader {
  readonly #parser: RdbParser;
  readonly #partBytes: number;
  readonly #crc = new Crc64();
  /** Up to this index of the parser's bytes the checksum has taken them in. */
  #summed = 0;
  #checksum: RdbChecksum | undefined;
  #failure: { readonly cause: unknown } | undefined;
  /** Carried-over bytes: `#own[0, #carried)`. */
  #own: Buffer = NONE;
  #carried = 0;

  /** @throws RangeError: an option is out of range. */
  constructor(sink: RdbSink, options: RdbReaderOptions = {}) {
    const { maxBufferedBytes = DEFAULT_MAX_BUFFERED_BYTES, partBytes = DEFAULT_PART_BYTES, unknown = "halt" } = options;
    if (!Number.isInteger(partBytes) || partBytes < 1) throw new RangeError(`partBytes must be 1 or more, not ${partBytes}`);
    this.#parser = new RdbParser(sink, maxBufferedBytes, partBytes, unknown === "skip");
    this.#partBytes = partBytes;
  }

  /** The whole RDB has been delivered, and its checksum, if it has one, is right. */
  get done(): boolean {
    return this.#checksum !== undefined;
  }

  /** RDB version of the file; 0 before its header has been read. */
  get version(): number {
    return this.#parser.version;
  }

  /** What the checksum said; undefined until `done`. */
  get checksum(): RdbChecksum | undefined {
    return this.#checksum;
  }

  /** How many bytes have been passed; once `done`, the size of the RDB. */
  get offset(): number {
    return this.#parser.cursor.offset;
  }

  /**
   * Takes the next bytes; they may be overwritten after the call. Returns how many of them belong to the RDB: all of them until
   * `done`; what follows then is the caller's ($EOF marker, replication stream). Once `done`: 0.
   *
   * @throws RdbError: not a valid RDB, or one that this reader does not know. What the sink throws is passed on. After either the
   * reader is dead: every further call throws the same.
   */
  push(chunk: Buffer): number {
    if (this.#failure !== undefined) throw this.#failure.cause;
    if (this.done) return 0;
    const { cursor } = this.#parser;
    try {
      this.#load(chunk);
      this.#parser.run();
      if (this.#parser.place === "end") this.#verify();
    } catch (error) {
      throw this.#failed(error);
    }
    if (this.done) {
      this.#own = NONE;
      return chunk.length - (cursor.end - cursor.pos);
    }
    this.#sumUpTo(cursor.pos);
    this.#carryOver();
    return chunk.length;
  }

  /** The input has ended. @throws RdbError unless `done`: the RDB is cut off. */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
    if (this.done) return;
    const { cursor, place } = this.#parser;
    throw this.#failed(new RdbError(`the RDB is cut off where its ${place} goes on`, cursor.base + cursor.end));
  }

  #failed(error: unknown): unknown {
    const cause = error instanceof RdbError ? this.#parser.explain(error) : error;
    this.#failure = { cause };
    this.#own = NONE;
    return cause;
  }

  #load(chunk: Buffer): void {
    const parser = this.#parser;
    const carried = this.#carried;
    if (carried === 0) {
      parser.moved(parser.cursor.pos, chunk, chunk.length);
      this.#summed = 0;
      return;
    }
    const size = carried + chunk.length;
    if (size > this.#own.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#own.length));
      this.#own.copy(larger, 0, 0, carried);
      this.#own = larger;
    }
    chunk.copy(this.#own, carried);
    parser.moved(0, this.#own, size);
  }

  /** Moves what is still needed to the start of the reader's own buffer. */
  #carryOver(): void {
    const { cursor, held } = this.#parser;
    const rest = cursor.end - held;
    if (cursor.bytes === this.#own) {
      if (held > 0) this.#own.copyWithin(0, held, cursor.end);
    } else {
      if (rest > this.#own.length) this.#own = Buffer.allocUnsafeSlow(rest);
      cursor.bytes.copy(this.#own, 0, held, cursor.end);
    }
    if (rest === 0 && this.#own.length > KEPT_BUFFER_BYTES + this.#partBytes) this.#own = NONE;
    this.#carried = rest;
    this.#summed -= held;
    this.#parser.moved(held, this.#own, rest);
  }

  #sumUpTo(index: number): void {
    this.#crc.update(this.#parser.cursor.bytes, this.#summed, index);
    this.#summed = index;
  }

  #verify(): void {
    const { cursor, hasChecksum } = this.#parser;
    if (!hasChecksum) {
      this.#checksum = "absent";
      return;
    }
    const at = cursor.pos - CHECKSUM_BYTES;
    const stored = cursor.bytes.readBigUInt64LE(at);
    this.#sumUpTo(at);
    if (stored !== 0n && !this.#crc.matches(cursor.bytes, at)) {
      const reason = `the CRC64 of the RDB is ${stored.toString(16).padStart(16, "0")}, but its bytes give ${this.#crc.toString()}`;
      throw new RdbError(reason, cursor.base + at);
    }
    this.#checksum = stored === 0n ? "disabled" : "verified";
  }
}
