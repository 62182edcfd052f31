import { MetricPage } from "./metric-page.ts";

/** What a part of a process tells of itself to those who watch the process. */
export interface Meter {
  /** Sets its figures. Called at every reading; what it throws costs its own figures only. */
  readonly collect?: (page: MetricPage) => void;
  /** Why the process can't do its work now; null while it can. */
  readonly notReady?: () => string | null;
}

/** The meters of one process: what `/metrics` and `/readyz` answer with. */
export class Meters {
  readonly #meters: Meter[] = [];

  add(meter: Meter): void {
    this.#meters.push(meter);
  }

  /** The first reason why the process can't do its work; null while it can. Before any meter speaks of that it is starting. */
  notReady(): string | null {
    const speaking = this.#meters.filter(({ notReady }) => notReady !== undefined);
    if (speaking.length === 0) return "the service is starting";
    for (const { notReady } of speaking) {
      const reason = notReady?.() ?? null;
      if (reason !== null) return reason;
    }
    return null;
  }

  collect(page: MetricPage): void {
    for (const { collect } of this.#meters) {
      try {
        collect?.(page);
      } catch {
        // A figure that can't be had is absent: everything else is still told.
      }
    }
  }
}
