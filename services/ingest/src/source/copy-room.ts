import type { LaneStream } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";
import type { EpochCopy } from "./epoch-copy.ts";

/** Whoever waits for room looks so often whether it was found. */
const LOOK_MS = 250;

/**
 * The room in the stream that changes leave to a copy beside them: half of it. Where they filled it nothing more of the copy could be stored, and
 * nothing of them is removed before it is applied, behind the copy. What is beyond waits in the source's output buffer, as on one link all of it does.
 */
export class CopyRoom {
  readonly #stream: Pick<LaneStream, "size">;
  readonly #copy: Pick<EpochCopy, "isStored">;
  readonly #clock: Clock;
  readonly #log: Logger;
  #isScarce = false;

  constructor(copy: Pick<EpochCopy, "isStored">, stream: Pick<LaneStream, "size">, clock: Clock, log: Logger) {
    this.#copy = copy;
    this.#stream = stream;
    this.#clock = clock;
    this.#log = log;
  }

  /** Changes are to wait: see `find`. */
  get isScarce(): boolean {
    return this.#isScarce && !this.#copy.isStored;
  }

  /** Looks how much there is; to be called once a second. Never rejects. */
  async look(): Promise<void> {
    if (this.#copy.isStored) return;
    const size = await this.#stream.size().catch(() => null);
    if (size === null) return;
    const { bytes, limitBytes } = size;
    const wasScarce = this.#isScarce;
    this.#isScarce = limitBytes !== null && bytes * 2 > limitBytes;
    if (this.#isScarce && !wasScarce)
      this.#log.warn(
        { bytes, limitBytes },
        "the stream is half full beside a copy: changes wait at the source until that is stored",
      );
  }

  /** Resolves when changes may be read: there is room, the copy is stored, or `signal` aborted. */
  async find(signal: AbortSignal): Promise<void> {
    while (this.isScarce && !signal.aborted) await this.#clock.sleep(LOOK_MS, signal);
  }
}
