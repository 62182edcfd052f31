import type { LaneStream, StreamSize } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";
import type { EpochCopy } from "./epoch-copy.ts";
import type { LaneChanges } from "./lane-changes.ts";

/** Whoever waits for room looks so often whether it was found. */
const LOOK_MS = 250;
/** Of a stream with a limit; what is left above is for copies alone, whoever has filled it so far. */
const MOST_SHARE = 0.9;

export interface CopyRoomOptions {
  readonly stream: Pick<LaneStream, "size">;
  readonly copy: Pick<EpochCopy, "isStored">;
  readonly changes: Pick<LaneChanges, "besideBytes">;
  /** Lanes, each of which may close one more message when no more is read. */
  readonly lanes: number;
  readonly maxBatchBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The room in the stream that changes leave to a copy beside them: half of what was free when it began. Where they filled it no more of the copy could be
 * stored, and nothing of them is removed before it is applied, behind the copy. What is beyond waits in the source's output buffer, as on one link all of it
 * does. What counts is what these changes take themselves, as they are closed: what the stream says comes late.
 */
export class CopyRoom {
  readonly #options: CopyRoomOptions;
  /** Infinite while the stream has no limit, or is not known. */
  #shareBytes = Infinity;
  #baseBytes: number | null = null;
  #isCrowded = false;
  #isTold = false;

  constructor(options: CopyRoomOptions) {
    this.#options = options;
  }

  /** Changes are to wait: see `find`. */
  get isScarce(): boolean {
    const { copy, changes } = this.#options;
    if (this.#shareBytes === Infinity || copy.isStored) return false;
    return this.#isCrowded || changes.besideBytes > this.#shareBytes;
  }

  /** Looks how much there is; before the first change is read, and then once a second. Never rejects. */
  async look(): Promise<void> {
    const { stream, copy, log } = this.#options;
    if (copy.isStored) return;
    const size = await stream.size().catch(() => null);
    if (size !== null) this.#measure(size);
    if (!this.isScarce || this.#isTold) return;
    this.#isTold = true;
    log.warn(
      { ...size },
      "changes have taken their share of the stream beside a copy: they wait at the source until that is stored",
    );
  }

  /** Resolves when changes may be read: there is room, the copy is stored, `isOver`, or `signal` aborted. */
  async find(isOver: () => boolean, signal: AbortSignal): Promise<void> {
    while (this.isScarce && !isOver() && !signal.aborted) await this.#options.clock.sleep(LOOK_MS, signal);
  }

  #measure({ bytes, limitBytes }: StreamSize): void {
    const { lanes, maxBatchBytes } = this.#options;
    this.#baseBytes ??= bytes;
    const freeBytes = limitBytes === null ? Infinity : limitBytes - this.#baseBytes;
    this.#shareBytes = Math.max(0, freeBytes / 2 - lanes * maxBatchBytes);
    this.#isCrowded = limitBytes !== null && bytes > limitBytes * MOST_SHARE;
  }
}
