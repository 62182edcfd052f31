import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

/** Where time comes from, so that decisions can be run with another. */
export interface Clock {
  /** Wall clock in ms since 1970: for people and for expiries, never for deciding who is alive. */
  nowMs(): number;
  /** Ms on a clock that never goes back and means nothing to another process. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts (it does not reject then). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    // Any number of lanes may wait under one signal.
    if (signal !== undefined) setMaxListeners(0, signal);
    try {
      await delay(ms, undefined, signal === undefined ? undefined : { signal });
    } catch (cause) {
      if (signal?.aborted !== true) throw cause;
    }
  },
};
