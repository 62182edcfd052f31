import type { Logger } from "pino";
import type { Clock } from "./clock.ts";
import { describeFault, Fault, Halt, Retryable, Stopped } from "./fault.ts";
import { processFailures } from "./metrics/failure-tally.ts";

/** What a supervisor runs: one actor that works until it is done, fails, or `signal` aborts. */
export interface Actor {
  readonly name: string;
  /** Called anew after every retryable failure; starts from what is stored, never from memory. */
  run(signal: AbortSignal, progress: () => void): Promise<void>;
  /** The actor failed and is run again after `delayMs`. `since`: wall clock of the first failure since it last made progress. */
  retrying?(fault: Fault, since: number, delayMs: number): void;
  /** The actor stopped for good. */
  halted?(fault: Fault): void;
  /** The actor made progress after a failure. */
  recovered?(): void;
}

const FIRST_DELAY_MS = 100;
const LONG_DELAY_MS = 5_000;
/** From this try on, after about a minute in vain, the delay grows beyond that: it stays below a seventh of the time that was waited. */
const PATIENT_FROM = 18;
const LONGEST_DELAY_MS = 30_000;
/** From this delay on a failure is worth somebody's attention. */
const WARN_FROM_MS = 800;

/** Delay before the `attempt`-th try in a row (from 1): doubles from 100 ms up to 5 s, and after a minute grows slowly up to 30 s. */
export function backoffMs(attempt: number): number {
  if (attempt > PATIENT_FROM)
    return Math.min(LONGEST_DELAY_MS, Math.round(LONG_DELAY_MS * 1.1 ** Math.min(attempt - PATIENT_FROM, 32)));
  return Math.min(LONG_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt - 1, 16));
}

/**
 * Runs an actor until it ends, halts, is stopped or `signal` aborts: the only retry loop of Sluice. Never rejects.
 * A failure that is no `Fault` counts as retryable (SLU-001).
 */
export async function supervise(actor: Actor, signal: AbortSignal, clock: Clock, log: Logger): Promise<void> {
  let attempt = 0;
  let failingSince = 0;
  const progress = (): void => {
    if (attempt === 0) return;
    attempt = 0;
    log.info({ actor: actor.name }, "recovered");
    tell(log, actor, () => actor.recovered?.());
  };
  while (!signal.aborted) {
    try {
      await actor.run(signal, progress);
      return;
    } catch (cause) {
      if (signal.aborted) return;
      const fault = asFault(cause);
      if (fault instanceof Stopped) {
        log.info({ actor: actor.name, code: fault.code }, describeFault(fault));
        return;
      }
      processFailures.count(fault.code, fault instanceof Halt ? "halt" : "retry");
      if (fault instanceof Halt) {
        log.error({ actor: actor.name, code: fault.code, remedy: fault.remedy }, describeFault(fault));
        tell(log, actor, () => actor.halted?.(fault));
        return;
      }
      if (attempt === 0) failingSince = clock.nowMs();
      attempt++;
      const delayMs = backoffMs(attempt);
      const level = delayMs >= WARN_FROM_MS ? "warn" : "info";
      log[level]({ actor: actor.name, code: fault.code, attempt, delayMs, ...stackOf(cause) }, describeFault(fault));
      const since = failingSince;
      tell(log, actor, () => actor.retrying?.(fault, since, delayMs));
      await clock.sleep(delayMs, signal);
    }
  }
}

/** What an actor does when it is told of its own fate can't change it. */
function tell(log: Logger, actor: Actor, call: () => void): void {
  try {
    call();
  } catch (cause) {
    log.error({ actor: actor.name, ...stackOf(cause) }, `the actor could not be told: ${describeFault(cause)}`);
  }
}

function asFault(cause: unknown): Fault {
  return cause instanceof Fault ? cause : new Retryable("SLU-001", "sluice", describeFault(cause), { cause });
}

function stackOf(cause: unknown): { stack?: string } {
  return cause instanceof Fault || !(cause instanceof Error) || cause.stack === undefined ? {} : { stack: cause.stack };
}
