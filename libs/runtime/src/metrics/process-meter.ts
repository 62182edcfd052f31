import { monitorEventLoopDelay } from "node:perf_hooks";
import { processFailures } from "./failure-tally.ts";
import type { Meter } from "./meters.ts";
import type { MetricPage } from "./metric-page.ts";

const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;
const EVENT_LOOP_RESOLUTION_MS = 20;

/** Memory, processor time, event loop and failures of this process. The event loop is watched from the first reading on. */
export function processMeter(service: string): Meter {
  const delay = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS });
  const startedSeconds = Date.now() / 1000 - process.uptime();
  const collect = (page: MetricPage): void => {
    const memory = process.memoryUsage();
    page.set("sluice_process_memory_bytes", { service, kind: "resident" }, memory.rss);
    page.set("sluice_process_memory_bytes", { service, kind: "heap" }, memory.heapUsed);
    page.set("sluice_process_memory_bytes", { service, kind: "external" }, memory.external);
    const { user, system } = process.cpuUsage();
    page.set("sluice_process_cpu_seconds_total", { service }, (user + system) / MICROSECONDS);
    page.set("sluice_process_start_seconds", { service }, startedSeconds);
    const quantiles = { "0.5": delay.percentile(50), "0.99": delay.percentile(99), "1": delay.max };
    for (const [quantile, nanoseconds] of Object.entries(quantiles)) {
      // The time between two looks is part of what the monitor measures.
      const seconds = Math.max(0, nanoseconds / NANOSECONDS - EVENT_LOOP_RESOLUTION_MS / 1000);
      page.set("sluice_process_event_loop_delay_seconds", { service, quantile }, delay.count === 0 ? null : seconds);
    }
    delay.reset();
    delay.enable();
    for (const { code, outcome, count } of processFailures.all) {
      page.set("sluice_failures_total", { service, code, outcome }, count);
    }
  };
  return { collect };
}
