import type { Meter } from "@sluice/runtime";
import type { Bus } from "./bus.ts";

/** Services that put batches into lanes or read them. */
const ON_THE_DATA_PATH = new Set(["ingest", "writer"]);

/** Tells of a service's connection to NATS; `bus` is null until there is one, and the service is not ready before. */
export function busMeter(service: string, bus: () => Bus | null): Meter {
  return {
    notReady: () => (bus()?.isUp === true ? null : "there is no connection to NATS"),
    collect: (page) => {
      page.set("sluice_bus_up", { service }, bus()?.isUp === true ? 1 : 0);
      const figures = bus()?.figures;
      if (figures === undefined) return;
      page.set("sluice_bus_reconnects_total", { service }, figures.reconnects);
      if (!ON_THE_DATA_PATH.has(service)) return;
      page.set("sluice_bus_batches_stored_total", { service }, figures.batchesStored);
      page.set("sluice_bus_bytes_stored_total", { service }, figures.bytesStored);
      page.set("sluice_bus_batches_refused_total", { service }, figures.batchesRefused);
      page.set("sluice_bus_batches_unanswered_total", { service }, figures.batchesUnanswered);
      page.set("sluice_bus_batches_read_total", { service }, figures.batchesRead);
      page.set("sluice_bus_bytes_read_total", { service }, figures.bytesRead);
    },
  };
}
