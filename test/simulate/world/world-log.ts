import { pino, type Logger } from "pino";

/** A log of everything that the services of a world say, on standard error, with virtual time. */
export function worldLog(): Logger {
  return pino(
    { level: "debug", base: null, timestamp: () => `,"ms":${Math.round(performance.now())}` },
    pino.destination({ fd: 2, sync: true }),
  );
}
