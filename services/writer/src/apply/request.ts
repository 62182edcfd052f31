import { encodedBytes, writeArgument, writeCommand, writeHeader, type CommandArgument } from "@sluice/redis";

/** Commands of up to this size are written into one buffer; larger pieces travel as they are. */
const COPY_LIMIT_BYTES = 16 * 1024;
const CHUNK_BYTES = 256 * 1024;

/**
 * A pipelined request that is being put together: raw extents of batches beside commands of our own, as a list of buffers that
 * a connection writes without joining them.
 */
export class Request {
  readonly #buffers: Buffer[] = [];
  readonly #databases = new Set<number>();
  #chunk: Buffer | null = null;
  #used = 0;
  #begun = 0;
  #bytes = 0;
  #commands = 0;

  /** Commands so far: as many replies are owed. */
  get commands(): number {
    return this.#commands;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Raw RESP of whole commands. It must not change before the request has been answered. */
  addRaw(raw: Buffer, commands: number): void {
    this.#commands += commands;
    this.#addPiece(raw);
  }

  /** Databases that the request selects. */
  get databases(): ReadonlySet<number> {
    return this.#databases;
  }

  select(db: number): void {
    this.#databases.add(db);
    this.addCommand(["SELECT", db]);
  }

  addCommand(args: readonly CommandArgument[]): void {
    this.#commands++;
    const size = encodedBytes(args);
    const at = this.#reserve(size);
    writeCommand(this.#chunk as Buffer, at, args);
  }

  /** A command with one argument that is given in pieces, such as a value cut out of an RDB: `…before, pieces joined, after…`. */
  addWithPieces(before: readonly CommandArgument[], pieces: readonly Buffer[], after: readonly CommandArgument[]): void {
    this.#commands++;
    let length = 0;
    for (const piece of pieces) length += piece.length;
    const head = encodedBytes(before) + 64;
    const at = this.#reserve(head);
    const chunk = this.#chunk as Buffer;
    let end = writeHeader(chunk, at, 42, before.length + 1 + after.length);
    for (const argument of before) end = writeArgument(chunk, end, argument);
    end = writeHeader(chunk, end, 36, length);
    this.#giveBack(at + head - end);
    for (const piece of pieces) this.#addPiece(piece);
    const tail = encodedBytes(after) + 2;
    const from = this.#reserve(tail);
    const rest = this.#chunk as Buffer;
    rest[from] = 13;
    rest[from + 1] = 10;
    let last = from + 2;
    for (const argument of after) last = writeArgument(rest, last, argument);
    this.#giveBack(from + tail - last);
  }

  /** The request's buffers, in order. Nothing may be added any more. */
  finish(): Buffer[] {
    this.#flush();
    return this.#buffers;
  }

  #addPiece(piece: Buffer): void {
    if (piece.length <= COPY_LIMIT_BYTES) {
      const at = this.#reserve(piece.length);
      piece.copy(this.#chunk as Buffer, at);
      return;
    }
    this.#flush();
    this.#buffers.push(piece);
    this.#bytes += piece.length;
  }

  #reserve(size: number): number {
    if (this.#chunk === null || this.#used + size > this.#chunk.length) {
      this.#flush();
      this.#chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, size));
      this.#used = 0;
      this.#begun = 0;
    }
    const at = this.#used;
    this.#used += size;
    this.#bytes += size;
    return at;
  }

  #giveBack(size: number): void {
    this.#used -= size;
    this.#bytes -= size;
  }

  #flush(): void {
    if (this.#chunk === null || this.#used === this.#begun) return;
    this.#buffers.push(this.#chunk.subarray(this.#begun, this.#used));
    this.#begun = this.#used;
  }
}
