import type { PipelineStatus } from "@sluice/wire";
import { printable } from "./printable.ts";

/** Finds in the states of a pipeline the events that were not there before. */
export class NewEvents {
  readonly #sinceMs: number;
  #seen = new Set<string>();

  /** `sinceMs`: what happened before, by the wall clock, is no news. */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  /** A line for each, in the order in which they happened. */
  take({ events }: PipelineStatus): string[] {
    const now = events.map(({ at, text }) => ({ at, text, key: `${at} ${text}` }));
    const news = now.filter(({ at, key }) => at >= this.#sinceMs && !this.#seen.has(key));
    this.#seen = new Set(now.map(({ key }) => key));
    return news.map(({ text }) => `event: ${printable(text)}`);
  }
}
