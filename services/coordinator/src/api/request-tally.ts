import type { MetricPage } from "@sluice/runtime";

/** How often each operation was answered with which status. Bounded: there are only so many of both. */
export class RequestTally {
  readonly #counts = new Map<string, { readonly operation: string; readonly status: string; count: number }>();

  count(operation: string, status: number): void {
    const key = `${operation} ${status}`;
    const entry = this.#counts.get(key) ?? { operation, status: String(status), count: 0 };
    entry.count++;
    this.#counts.set(key, entry);
  }

  collect(page: MetricPage): void {
    for (const { operation, status, count } of this.#counts.values())
      page.set("sluice_api_requests_total", { operation, status }, count);
  }
}
