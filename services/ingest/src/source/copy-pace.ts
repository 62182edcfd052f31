import type { Clock } from "@sluice/runtime";

/** What may be read at once behind a pause, in ms of the pace. */
const BURST_MS = 250;
/** A wait is looked at again after this time at the latest: the pace may have changed. */
const LOOK_AGAIN_MS = 250;

/**
 * How fast a full copy is read: a token bucket, which is full at first and holds `BURST_MS` of the pace. What was read is taken out of it
 * even where it holds less, and then nothing is read until that is made up for; so in any span of `t` ms no more is read than
 * `pace × (t + BURST_MS)`, and one chunk.
 *
 * It costs memory instead of bandwidth: the longer a copy lasts the more is written meanwhile, which waits in the stream. Where copy and changes come
 * over one link it waits in the source's output buffer for that. Where that exceeds `client-output-buffer-limit replica` the source closes the link and the copy begins anew
 * (SRC-010). The child that writes a diskless copy lives as long as the copy, and with it what copy-on-write costs.
 */
export class CopyPace {
  readonly #clock: Clock;
  #bytesPerSecond: number;
  #roomBytes: number;
  #atMs: number;

  /** `bytesPerSecond`: above 0; infinite for as fast as it comes. */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#roomBytes = Number.isFinite(bytesPerSecond) ? this.#burstBytes : 0;
    this.#atMs = clock.monotonicMs();
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** Another pace from now on; for whoever waits, too. */
  change(bytesPerSecond: number): void {
    this.#refill();
    const wasFinite = Number.isFinite(this.#bytesPerSecond);
    this.#bytesPerSecond = bytesPerSecond;
    this.#roomBytes = wasFinite ? Math.min(this.#roomBytes, this.#burstBytes) : 0;
  }

  /** So many bytes were read. */
  took(bytes: number): void {
    this.#refill();
    if (Number.isFinite(this.#bytesPerSecond)) this.#roomBytes -= bytes;
  }

  /** How long nothing may be read, at the pace of now; 0: not at all. */
  get waitMs(): number {
    this.#refill();
    if (!Number.isFinite(this.#bytesPerSecond) || this.#roomBytes >= 0) return 0;
    return Math.ceil((-this.#roomBytes * 1_000) / this.#bytesPerSecond);
  }

  /** Resolves when more may be read, or when `signal` aborts. */
  async room(signal: AbortSignal): Promise<void> {
    for (let waitMs = this.waitMs; waitMs > 0 && !signal.aborted; waitMs = this.waitMs)
      await this.#clock.sleep(Math.min(waitMs, LOOK_AGAIN_MS), signal);
  }

  get #burstBytes(): number {
    return (this.#bytesPerSecond * BURST_MS) / 1_000;
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    if (Number.isFinite(this.#bytesPerSecond)) {
      const earned = ((nowMs - this.#atMs) * this.#bytesPerSecond) / 1_000;
      this.#roomBytes = Math.min(this.#burstBytes, this.#roomBytes + earned);
    }
    this.#atMs = nowMs;
  }
}
