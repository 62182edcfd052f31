import type { RawCommand } from "../lanes/change-batcher.ts";

/** Messages of one transaction that wait for its lane, in all. */
const MOST_BYTES = 16 * 1024 * 1024;

interface HeldPublish {
  readonly command: RawCommand;
  readonly slot: number;
  readonly db: number;
}

/** Messages at the begin of a transaction of which no key has come yet: its lane is that of the first key. */
export class HeldPublishes {
  #held: HeldPublish[] = [];
  #bytes = 0;

  get count(): number {
    return this.#held.length;
  }

  /** Slot of the first one's channel. */
  get slot(): number {
    return this.#held[0]?.slot ?? 0;
  }

  /** Copies it. False when it is one too many. */
  add({ buffer, start, end, argc, headerLength }: RawCommand, slot: number, db: number): boolean {
    this.#bytes += end - start;
    if (this.#bytes > MOST_BYTES) return false;
    const raw = Buffer.from(buffer.subarray(start, end));
    this.#held.push({ command: { buffer: raw, start: 0, end: raw.length, argc, headerLength }, slot, db });
    return true;
  }

  /** All of them, in order; none is left. */
  take(): readonly HeldPublish[] {
    const taken = this.#held;
    if (taken.length === 0) return taken;
    this.#held = [];
    this.#bytes = 0;
    return taken;
  }
}
