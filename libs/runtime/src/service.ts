import { systemClock, type Clock } from "./clock.ts";
import { readServiceConfig, type ServiceConfig } from "./config.ts";
import { describeFault, Fault, Stopped } from "./fault.ts";
import { createLog, type Logger } from "./log.ts";
import { Meters } from "./metrics/meters.ts";
import { listenForMetrics, readMetricsAddress } from "./metrics/metrics-listener.ts";
import { processMeter } from "./metrics/process-meter.ts";

/** What a service is given to run with. */
export interface ServiceContext {
  readonly config: ServiceConfig;
  readonly log: Logger;
  readonly clock: Clock;
  /** Aborts when the process is asked to stop. */
  readonly stopping: AbortSignal;
  /** Where the parts of the service say how they are; absent where nobody reads it. */
  readonly meters?: Meters;
}

/** How long a stopping service may take before its process ends all the same. */
const STOP_LIMIT_MS = 10_000;

/**
 * Runs one service as this process: the only place that handles signals and ends the process.
 *
 * `run` works until `stopping` aborts and then returns. SIGTERM, SIGINT and the end of the parent's IPC channel ask it to stop;
 * a second signal ends the process at once. Exit code 0 after a stop, 1 after a failure.
 */
export function runService(service: string, run: (context: ServiceContext) => Promise<void>): void {
  const stop = new AbortController();
  let log: Logger | null = null;
  const ask = (why: string): void => {
    if (stop.signal.aborted) process.exit(1);
    log?.info({ why }, "stopping");
    stop.abort();
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
  };
  process.on("SIGTERM", () => ask("SIGTERM"));
  process.on("SIGINT", () => ask("SIGINT"));
  const orphaned = (): void => {
    if (!stop.signal.aborted) ask("the process that started this one has ended");
  };
  if (process.connected) process.on("disconnect", orphaned);
  const start = async (): Promise<void> => {
    const config = readServiceConfig(process.env);
    log = createLog(service, config.instance, config.logLevel);
    log.info({ pid: process.pid }, "started");
    const meters = new Meters();
    meters.add(processMeter(service));
    const address = readMetricsAddress(process.env);
    const listener = address === null ? null : await listenForMetrics(address, meters);
    if (listener !== null) log.info({ address: listener.url }, "metrics listen");
    try {
      await run({ config, log, clock: systemClock, stopping: stop.signal, meters });
    } finally {
      await listener?.close();
    }
    log.info("stopped");
  };
  start().then(
    () => process.exit(0),
    (cause: unknown) => {
      if (cause instanceof Stopped) process.exit(0);
      const code =
        cause instanceof Fault
          ? { code: cause.code, remedy: cause.remedy }
          : { stack: cause instanceof Error ? cause.stack : undefined };
      (log ?? createLog(service, "unnamed", "info")).fatal(code, describeFault(cause));
      process.exit(1);
    },
  );
}
