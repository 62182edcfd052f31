import { Retryable, type Clock } from "@sluice/runtime";

/**
 * The answer to a request to the bus, or `Retryable` BUS-001 after `limitMs`: then its outcome is unknown. A request that was
 * under way when the connection broke is never answered, and would otherwise be waited for until its own, longer time-out.
 */
export async function withTimeLimit<T>(request: Promise<T>, limitMs: number, clock: Pick<Clock, "sleep">): Promise<T> {
  const answered = new AbortController();
  const late = async (): Promise<never> => {
    await clock.sleep(limitMs, answered.signal);
    throw new Retryable("BUS-001", "bus", `no answer in ${limitMs} ms`);
  };
  try {
    return await Promise.race([request, late()]);
  } finally {
    answered.abort();
  }
}
