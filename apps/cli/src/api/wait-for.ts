import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import { OperatorError } from "../operator-error.ts";
import { haltOf } from "../view/pipeline-figures.ts";
import { printable } from "../view/printable.ts";
import { ApiUnreachable, type ApiClient } from "./api-client.ts";
import { DrainWatch } from "./drain-watch.ts";

const POLL_MS = 200;

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
 * the pipeline has failed, or when `signal` aborts.
 */
export async function waitFor(api: ApiClient, pipeline: string, options: WaitOptions): Promise<PipelineStatus> {
  const { goal, timeoutMs, signal, seen } = options;
  const watch = new DrainWatch();
  const deadlineMs = performance.now() + timeoutMs;
  let last = "its status is not known";
  for (;;) {
    try {
      const status = await api.status(pipeline);
      seen?.(status);
      const isDrained = watch.see(status);
      if (status.state === "failed") throw failure(status);
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

/** Why a pipeline failed, for the operator. */
export function failure(status: PipelineStatus): OperatorError {
  const halt = haltOf(status);
  if (halt === null) return new OperatorError(`${status.name} failed: ${printable(status.reason)}`);
  return new OperatorError(
    `${status.name} failed: ${halt.code} in ${halt.where}: ${printable(halt.message)}`,
    printable(halt.remedy),
  );
}
