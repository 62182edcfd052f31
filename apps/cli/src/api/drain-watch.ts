import type { PipelineStatus } from "@sluice/wire";

/** Samples of the source that must have been taken since the watch began. */
const SAMPLES_NEEDED = 2;

/**
 * Tells when a pipeline has applied everything that the source had written when the watch began.
 *
 * The first status shows a sample from before. The next newer one may have been asked for before the watch began and answered
 * after; the second newer one can't. No clock of ours is compared with the coordinator's.
 */
export class DrainWatch {
  #sampledAt: number | null = null;
  #newer = 0;

  /** Takes statuses in the order they were fetched; true once drained. */
  see(status: PipelineStatus): boolean {
    if (this.#sampledAt === null) this.#sampledAt = status.sampledAt;
    else if (status.sampledAt > this.#sampledAt) {
      this.#sampledAt = status.sampledAt;
      this.#newer++;
    }
    return this.#newer >= SAMPLES_NEEDED && status.drained;
  }
}
