/** Capacity of an idle buffer, in bytes: four of the 64 KiB chunks that a Node socket delivers at most. */
const IDLE_CAPACITY_BYTES = 256 * 1024;
/** A buffer that used less than an eighth of itself in that many appends in a row goes back to its idle capacity. */
const APPENDS_BEFORE_SHRINKING = 16;

/**
 * The one growing buffer under a framer. Bytes are appended behind those not yet consumed. When there is no room behind them, they are
 * moved to the front if they fill at most half of the buffer, else the buffer doubles: so a byte is moved a bounded number of times on average,
 * whatever the sizes of chunks and commands, and the capacity stays below four times what has to be kept.
 */
export class StreamBuffer {
  /** Valid in `[0, length)`. Replaced by another Buffer when it grows or shrinks. */
  bytes: Buffer;
  length: number;
  #smallAppends = 0;

  /** `whole`: bytes that it begins with, without a copy; they are never written to. */
  constructor(whole?: Buffer) {
    this.bytes = whole ?? Buffer.allocUnsafeSlow(IDLE_CAPACITY_BYTES);
    this.length = whole?.length ?? 0;
  }

  /** Copies the chunk behind the bytes from `keepFrom` on. Returns by how many bytes those moved towards the front. */
  append(chunk: Uint8Array, keepFrom: number): number {
    const kept = this.length - keepFrom;
    const needed = kept + chunk.length;
    const moved = this.#makeRoom(keepFrom, kept, needed) ? keepFrom : 0;
    this.bytes.set(chunk, this.length);
    this.length += chunk.length;
    return moved;
  }

  #makeRoom(keepFrom: number, kept: number, needed: number): boolean {
    const capacity = this.bytes.length;
    if (capacity > IDLE_CAPACITY_BYTES && needed * 8 < capacity) {
      if (++this.#smallAppends >= APPENDS_BEFORE_SHRINKING) {
        this.#replace(Math.max(IDLE_CAPACITY_BYTES, needed * 2), keepFrom, kept);
        return true;
      }
    } else this.#smallAppends = 0;
    if (keepFrom + needed <= capacity) {
      if (kept > 0 || keepFrom === 0) return false;
      this.length = 0;
      return true;
    }
    if (kept * 2 > capacity || needed > capacity) {
      this.#replace(Math.max(capacity * 2, needed), keepFrom, kept);
      return true;
    }
    this.bytes.copyWithin(0, keepFrom, this.length);
    this.length = kept;
    return true;
  }

  #replace(capacity: number, keepFrom: number, kept: number): void {
    const next = Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(next, 0, keepFrom, this.length);
    this.bytes = next;
    this.length = kept;
    this.#smallAppends = 0;
  }
}
