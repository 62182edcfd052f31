import { setTimeout as delay } from "node:timers/promises";
import type { PipelineState, PipelineStatus } from "@sluice/wire";
import { OperatorError } from "../operator-error.ts";
import { printable } from "../view/printable.ts";
import type { Screen } from "../view/screen.ts";
import { ApiRefusal, ApiUnreachable, type ApiClient } from "./api-client.ts";
import { blockedFailure } from "./blocked-failure.ts";
import { failure } from "./wait-for.ts";

const POLL_MS = 200;
/** What an earlier start ended with stands there until the coordinator has looked at the new one. */
const OLD_END_MS = 3_000;
/** It is ready for a moment only, unless it waits for a time of day, for its turn, or for services that don't run. */
const READY_MS = 8_000;
/** Every check has its own limit, far below this. */
const LIMIT_MS = 120_000;

const RUNNING: ReadonlySet<PipelineState> = new Set(["copying", "catching-up", "synchronizing", "retrying"]);

/** The status, or null where there is no such pipeline. */
export async function statusIfAny(api: ApiClient, pipeline: string): Promise<PipelineStatus | null> {
  try {
    return await api.status(pipeline);
  } catch (cause) {
    if (cause instanceof ApiRefusal && cause.code === "PIP-002") return null;
    throw cause;
  }
}

/**
 * Follows a start that was asked for until the pipeline runs, or stays ready, waiting for its start window; null when `signal` aborts. `before`: the status
 * before it was asked for. Throws `OperatorError` when a precheck forbids it, when it fails, or has not begun after 2 min.
 */
export async function untilRunning(
  api: ApiClient,
  pipeline: string,
  { before, screen, signal }: { before: PipelineStatus | null; screen: Screen; signal: AbortSignal },
): Promise<PipelineStatus | null> {
  const askedAtMs = performance.now();
  const isOld = ({ state, since }: PipelineStatus): boolean =>
    before?.state === state && before.since === since && performance.now() - askedAtMs < OLD_END_MS;
  let readyAtMs: number | null = null;
  let last = "its status is not known";
  while (!signal.aborted) {
    try {
      const status = await api.status(pipeline);
      const { state, desired, reason } = status;
      if (RUNNING.has(state)) return status;
      if (state !== "ready" || desired !== "running") readyAtMs = null;
      else if (performance.now() - (readyAtMs ??= performance.now()) >= READY_MS) return status;
      if (state === "blocked" && !isOld(status)) throw await blockedFailure(api, status);
      if (state === "failed" && !isOld(status)) throw failure(status);
      last = `it is ${state}${reason === "" ? "" : ` (${printable(reason)})`}`;
      screen.update(state, `${state}${reason === "" ? "" : ` · ${printable(reason)}`}`);
    } catch (cause) {
      if (!(cause instanceof ApiUnreachable)) throw cause;
      last = cause.message;
    }
    if (performance.now() - askedAtMs > LIMIT_MS) {
      throw new OperatorError(
        `${pipeline} does not run after ${LIMIT_MS / 1000} s: ${last}`,
        `The start goes on; \`sluice status ${pipeline} --watch\` shows it.`,
      );
    }
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
  return null;
}
