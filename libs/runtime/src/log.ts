import { pino, type Logger } from "pino";

export type { Logger } from "pino";

/**
 * The log of one process: JSON lines on standard output, `service` and `instance` on each.
 * No value or key of a user's data and no secret belongs in a log: sizes, counts and hashes only.
 */
export function createLog(service: string, instance: string, level: string): Logger {
  return pino({ level, base: { service, instance }, timestamp: pino.stdTimeFunctions.isoTime });
}

/** A log that goes nowhere, for tests and for callers that want none. */
export function silentLog(): Logger {
  return pino({ level: "silent" });
}
