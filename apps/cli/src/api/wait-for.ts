import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import { OperatorError } from "../operator-error.ts";
import { haltOf } from "../view/pipeline-figures.ts";
import { printable } from "../view/printable.ts";
import { ApiUnreachable, type ApiClient } from "./api-client.ts";
import { DrainWatch } from "./drain-watch.ts";

const POLL_MS = 200;
/** What an earlier start was refused for stands there until the new one's prechecks have begun. */
const OLD_REFUSAL_MS = 3_000;

export const waitGoals = ["synchronizing", "drained"] as const;
export type WaitGoal = (typeof waitGoals)[number];

export interface WaitOptions {
  readonly goal: WaitGoal;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Called with every status on the way. */
  readonly seen?: (status: PipelineStatus) => void;
}

/**
 * Waits until a pipeline has reached a goal: `synchronizing`, or `drained` (it has applied all that the source had written when
 * the wait began). An API that does not answer for a while is waited for. Throws `OperatorError` at the end of the time, when
 * the pipeline has failed or its prechecks forbid its start, or when `signal` aborts.
 */
export async function waitFor(api: ApiClient, pipeline: string, options: WaitOptions): Promise<PipelineStatus> {
  const { goal, timeoutMs, signal, seen } = options;
  const watch = new DrainWatch();
  const deadlineMs = performance.now() + timeoutMs;
  let last = "its status is not known";
  let blockedAtMs: number | null = null;
  for (;;) {
    try {
      const status = await api.status(pipeline);
      seen?.(status);
      const isDrained = watch.see(status);
      if (status.state === "failed") throw failure(status);
      if (status.state !== "blocked") blockedAtMs = null;
      else if (performance.now() - (blockedAtMs ??= performance.now()) >= OLD_REFUSAL_MS) throw failure(status);
      if (goal === "drained" ? isDrained : status.state === "synchronizing") return status;
      last = `it is ${status.state}${status.reason === "" ? "" : ` (${printable(status.reason)})`}`;
    } catch (cause) {
      if (!(cause instanceof ApiUnreachable)) throw cause;
      last = cause.message;
    }
    if (performance.now() >= deadlineMs) {
      throw new OperatorError(
        `${pipeline} is not ${goal} after ${timeoutMs / 1000} s: ${last}`,
        "Look at it with `sluice status`, or give it more --timeout.",
      );
    }
    await delay(POLL_MS, undefined, signal === undefined ? undefined : { signal });
  }
}

/** Why a pipeline failed, or may not start, for the operator. */
export function failure(status: PipelineStatus): OperatorError {
  if (status.state === "blocked") {
    const remedy = `Mend it and start again; \`sluice status ${status.name}\` shows it, too.`;
    return new OperatorError(`${status.name} may not start: ${printable(status.reason)}`, remedy);
  }
  const halt = haltOf(status);
  if (halt === null) return new OperatorError(`${status.name} failed: ${printable(status.reason)}`);
  return new OperatorError(
    `${status.name} failed: ${halt.code} in ${halt.where}: ${printable(halt.message)}`,
    printable(halt.remedy),
  );
}
