import { Connection, ReplyError, type Endpoint } from "@sluice/redis";
import { describeFault, type Clock, type Logger } from "@sluice/runtime";

/** The source is asked so often … */
const ASK_MS = 500;
/** … and so much later where it could not be asked. */
const FAILED_MS = 5_000;
/** Longest wait for a connection, and for an answer where the limit is not longer than half of it. */
const PATIENCE_MS = 2_000;

export interface LatencyProbeOptions {
  readonly endpoint: Endpoint;
  readonly limitMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of one PING that was answered, or that was not after at least twice the limit, ms. */
  readonly onMeasured: (latencyMs: number) => void;
}

/**
 * Measures how fast a source answers, on a connection of its own and with nothing but PING, until `signal` aborts. What this process is late
 * itself is part of it. Never rejects: where the source can't be asked nothing is measured.
 */
export async function probeLatency(options: LatencyProbeOptions, signal: AbortSignal): Promise<void> {
  const { endpoint, clock, log } = options;
  let connection: Connection | null = null;
  let isTold = false;
  while (!signal.aborted) {
    let pauseMs = ASK_MS;
    try {
      connection ??= await Connection.open(endpoint, { signal, name: "sluice-latency", connectTimeoutMs: PATIENCE_MS });
      const isAnswered = await measure(connection, options, signal);
      if (!isAnswered) {
        connection.close();
        connection = null;
      }
    } catch (cause) {
      connection?.close();
      connection = null;
      pauseMs = FAILED_MS;
      if (!isTold && !signal.aborted) {
        isTold = true;
        log.warn({ cause: describeFault(cause) }, "the source's latency can't be measured; the copy's pace stays as it is");
      }
    }
    await clock.sleep(pauseMs, signal);
  }
  connection?.close();
}

/** False where no answer came in time. Throws what ended the connection. */
async function measure(
  connection: Connection,
  { limitMs, clock, onMeasured }: LatencyProbeOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const patienceMs = Math.max(PATIENCE_MS, 2 * limitMs);
  const beganMs = clock.monotonicMs();
  const answered = new AbortController();
  const late = clock.sleep(patienceMs, AbortSignal.any([signal, answered.signal])).then(() => false);
  // An error is an answer as good as any other.
  const ping = connection.call(["PING"]).then(
    () => true,
    (cause: unknown) => {
      if (cause instanceof ReplyError) return true;
      throw cause;
    },
  );
  try {
    const isAnswered = await Promise.race([ping, late]);
    if (!signal.aborted) onMeasured(isAnswered ? clock.monotonicMs() - beganMs : patienceMs);
    return isAnswered;
  } finally {
    answered.abort();
    ping.catch(() => undefined);
  }
}
