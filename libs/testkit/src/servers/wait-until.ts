import { setTimeout as pause } from "node:timers/promises";

export interface WaitOptions {
  /** The longest wait in milliseconds: what takes longer hangs, on a machine that is busy with other things, too. Default 60 000. */
  readonly timeoutMs?: number;
  /** Milliseconds between two looks; default 10. */
  readonly everyMs?: number;
  /** Added to the error when the time is up, e.g. the end of a log. */
  readonly details?: () => string;
}

/**
 * Asks `condition` until it answers something other than undefined, null or false, and returns that. An error thrown by
 * `condition` counts as "not yet" and is the cause of the final error.
 *
 * @throws Error naming `what` when the time is up.
 */
export async function waitUntil<T>(
  what: string,
  condition: () => Promise<T> | T,
  options: WaitOptions = {},
): Promise<NonNullable<T>> {
  const { timeoutMs = 60_000, everyMs = 10 } = options;
  const deadlineMs = performance.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const found = await condition();
      if (found !== undefined && found !== null && found !== false) return found;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= deadlineMs) {
      const details = options.details?.() ?? "";
      const reason = lastError instanceof Error ? `: ${lastError.message}` : "";
      throw new Error(`waited ${timeoutMs} ms in vain: ${what}${reason}${details && `\n${details}`}`, { cause: lastError });
    }
    await pause(everyMs);
  }
}
