import type { PipelineStatus, RetryRecord, WaitStatus } from "@sluice/wire";
import { retryOf } from "./pipeline-figures.ts";
import { printable } from "./printable.ts";
import { formatSeconds } from "./quantity.ts";

/** Where more endpoints are away they are away together. */
const MAX_LINES = 6;

/**
 * What a pipeline waits for, one line each, those with the least time left first: `waits for destination main: 11 min 20 s left: …`.
 * Where no retry window counts: since when.
 */
export function waitingLines(status: PipelineStatus, nowMs: number): string[] {
  const { waits } = status;
  if (waits.length === 0) {
    const retry = retryOf(status);
    return retry === null ? [] : [sinceThen(retry, nowMs)];
  }
  const shown = waits.toSorted((one, other) => one.secondsLeft - other.secondsLeft).slice(0, MAX_LINES);
  const more = waits.length - shown.length;
  return [...shown.map(countdown), ...(more > 0 ? [`and for ${more} more`] : [])];
}

function countdown({ endpoint, secondsLeft, reason }: WaitStatus): string {
  return `waits for ${printable(endpoint)}: ${formatSeconds(secondsLeft)} left: ${printable(reason)}`;
}

function sinceThen({ endpoint, since, reason }: RetryRecord, nowMs: number): string {
  const waitedFor = formatSeconds(Math.max(0, nowMs - since) / 1000);
  return `waits for ${printable(endpoint)} since ${waitedFor}: ${printable(reason)}`;
}
