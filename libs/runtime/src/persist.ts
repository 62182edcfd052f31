import type { Clock } from "./clock.ts";
import { Retryable, Stopped } from "./fault.ts";
import { backoffMs } from "./run-loop.ts";

export interface PersistOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told of every failure, and with null once it went well after one. */
  readonly onWaiting?: (fault: Retryable | null) => void;
}

/**
 * Repeats one step inside a running actor until it succeeds, for as long as its failures are `Retryable`: where giving up the
 * actor's state would cost more than waiting (a full copy, an open link). Throws `Stopped` when `signal` aborts.
 */
export async function persist<T>(step: () => Promise<T>, options: PersistOptions): Promise<T> {
  const { clock, signal, onWaiting } = options;
  for (let attempt = 1; ; attempt++) {
    if (signal.aborted) throw new Stopped("SLU-003", "asked to stop");
    try {
      const result = await step();
      if (attempt > 1) onWaiting?.(null);
      return result;
    } catch (fault) {
      if (!(fault instanceof Retryable) || isFinal(fault)) throw fault;
      onWaiting?.(fault);
      await clock.sleep(backoffMs(attempt), signal);
    }
  }
}

/** A lane that somebody else took is not had back by asking again. */
function isFinal(fault: Retryable): boolean {
  return fault.code === "BUS-002";
}
