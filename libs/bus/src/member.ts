import { Retryable, type Clock } from "@sluice/runtime";
import { memberRecord, recordKey } from "@sluice/wire";
import type { Records } from "./records.ts";
import { withTimeLimit } from "./time-limit.ts";

/** An instance says that it is alive so often … */
export const MEMBER_BEAT_MS = 1_000;
/** … and counts as dead when it has not for so long, on the observer's clock. */
export const MEMBER_TIME_MS = 4_000;

/**
 * Says that an instance is alive until `signal` aborts, then takes its record away, so that its work moves at once.
 * While the bus is away nothing can be said; it goes on when the bus is back.
 */
export async function beMember(
  records: Records,
  service: string,
  instance: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const key = recordKey.member(service, instance);
  const record = { service, instance, pid: process.pid, startedAt: clock.nowMs() };
  while (!signal.aborted) {
    try {
      await withTimeLimit(records.put(key, memberRecord, record), MEMBER_BEAT_MS, clock);
    } catch (cause) {
      if (!(cause instanceof Retryable)) throw cause;
    }
    await clock.sleep(MEMBER_BEAT_MS, signal);
  }
  await records.remove(key).catch(() => undefined);
}
