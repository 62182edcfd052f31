import type { Endpoint } from "@sluice/redis";
import type { Clock, Logger } from "@sluice/runtime";
import type { Pipeline } from "@sluice/wire";
import { CopyPace } from "./copy-pace.ts";
import { probeLatency } from "./latency-probe.ts";
import { LatencyRule } from "./latency-rule.ts";

/** Where the RDB comes at once it is left in the socket for so long, until the source's ordinary latency is known. */
const BASE_MS = 2_000;
/** Whether it is known is looked at so often. */
const BASE_LOOK_MS = 50;

/** What a pipeline says of how fast a full copy may be read. */
export type CopyLimits = Partial<Pick<Pipeline["limits"], "copyBytesPerSecond" | "sourceLatency">>;

export interface CopyThrottleOptions {
  readonly limits: CopyLimits;
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Holds one full copy back to the pace that its pipeline sets, and while the source is slow below it. It ends with the copy, or with `signal`. */
export class CopyThrottle {
  readonly #options: CopyThrottleOptions;
  readonly #pace: CopyPace;
  readonly #ended = new AbortController();
  readonly #over: AbortSignal;
  readonly #probing: Promise<void>;
  readonly #rule: LatencyRule | null;
  #hasBegun = false;
  #isTold = false;
  /** Bytes since the latency rule's last verdict, and when that was. */
  #read = 0;
  #readSinceMs: number;

  constructor(options: CopyThrottleOptions) {
    const { limits, endpoint, clock, log } = options;
    const most = limits.copyBytesPerSecond ?? Infinity;
    this.#options = options;
    this.#over = AbortSignal.any([options.signal, this.#ended.signal]);
    this.#pace = new CopyPace(clock, most);
    this.#readSinceMs = clock.monotonicMs();
    const limitMs = limits.sourceLatency;
    this.#rule = limitMs === undefined ? null : new LatencyRule(limitMs, most);
    const onMeasured = (latencyMs: number): void => this.#measured(latencyMs);
    this.#probing =
      limitMs === undefined ? Promise.resolve() : probeLatency({ endpoint, limitMs, clock, log, onMeasured }, this.#over);
  }

  /** So many bytes of the RDB were read; resolves when more may be, or when the throttle ends. */
  async pass(bytes: number): Promise<void> {
    if (!this.#hasBegun) await this.#begin();
    this.#read += bytes;
    this.#pace.took(bytes);
    if (this.#pace.waitMs === 0) return;
    if (!this.#isTold) {
      this.#isTold = true;
      const bytesPerSecond = Math.round(this.#pace.bytesPerSecond);
      this.#options.log.info({ bytesPerSecond }, "the full copy is held back to its pace");
    }
    await this.#pace.room(this.#over);
  }

  /** The copy is over, or its link is. May be called again; resolves when nothing of it is open any more. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#probing;
  }

  async #begin(): Promise<void> {
    this.#hasBegun = true;
    const rule = this.#rule;
    if (rule === null) return;
    const { clock, log, limits } = this.#options;
    const untilMs = clock.monotonicMs() + BASE_MS;
    while (!rule.isBased && clock.monotonicMs() < untilMs && !this.#over.aborted) await clock.sleep(BASE_LOOK_MS, this.#over);
    rule.copyBegins();
    this.#readSinceMs = clock.monotonicMs();
    const { baseMs, thresholdMs } = rule;
    if (baseMs <= (limits.sourceLatency ?? Infinity)) return;
    log.warn(
      { latencyMs: Math.round(baseMs), limitMs: limits.sourceLatency, thresholdMs: Math.round(thresholdMs) },
      "the source answers slower than `limits.sourceLatency` before any of the copy is read: what counts is twice that latency",
    );
  }

  #measured(latencyMs: number): void {
    const rule = this.#rule;
    if (rule === null) return;
    const { clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    const readBytesPerSecond = (this.#read * 1_000) / Math.max(1, nowMs - this.#readSinceMs);
    const wasHolding = rule.isHolding;
    if (!rule.measured(latencyMs, readBytesPerSecond)) return;
    this.#read = 0;
    this.#readSinceMs = nowMs;
    this.#pace.change(rule.bytesPerSecond);
    if (rule.isHolding === wasHolding) return;
    const found = { latencyMs: Math.round(rule.medianMs), limitMs: Math.round(rule.thresholdMs) };
    if (rule.isHolding) {
      const bytesPerSecond = Math.round(rule.bytesPerSecond);
      log.warn({ ...found, bytesPerSecond }, "the source answers slowly: the full copy is slowed down");
    } else log.info(found, "the source answers fast again: the full copy goes on at its own pace");
  }
}
