import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import type { ApiClient } from "../api/api-client.ts";
import { ApiUnreachable } from "../api/api-client.ts";
import { failure } from "../api/wait-for.ts";
import { OperatorError } from "../operator-error.ts";
import { readPipeline } from "../read-pipeline.ts";
import { Interrupts } from "../run/interrupts.ts";
import { printable } from "../view/printable.ts";
import { formatCount } from "../view/quantity.ts";
import { answer, clientOf, hint, screenFor, type ApiOptions } from "./asking.ts";

const POLL_MS = 500;

export interface CutoverOptions extends ApiOptions {
  readonly force?: boolean;
  readonly wait?: boolean;
}

/** `sluice cutover`: asks for it, and shows it until it is done. Interrupted, it goes on where the services run. */
export async function cutOver(pipeline: string, { force = false, wait = true, ...options }: CutoverOptions): Promise<void> {
  const api = clientOf(options);
  const status = await api.cutover(pipeline, force);
  if (wait) await followCutover(api, pipeline, options);
  else answer(options, status, `${pipeline}: ${printable(status.cutover?.reason ?? "asked for")}`);
}

/** `sluice settle`: the destinations of a file whose pipeline nobody knows any more. */
export async function settleFile(file: string, { wait = true, ...options }: CutoverOptions): Promise<void> {
  const { name, written } = await readPipeline(file, process.env);
  const api = clientOf(options);
  await api.settle(written);
  if (wait) await followCutover(api, name, options);
  else answer(options, { name }, `${name}: asked for`);
}

async function followCutover(api: ApiClient, pipeline: string, options: ApiOptions): Promise<void> {
  const interrupts = new Interrupts(() => process.exit(1));
  try {
    const status = await untilCutOver(api, pipeline, options, interrupts.signal);
    if (status !== null) answer(options, status, `${pipeline} is cut over: ${settledKeys(status)}`);
    else hint(options, `the cut-over goes on where the services run; to see it again: sluice cutover ${pipeline}`);
  } finally {
    interrupts.close();
  }
}

/** Null when `signal` aborts. An API that does not answer for a while is waited for. Throws `OperatorError` when the pipeline fails, or is no longer to be cut over. */
async function untilCutOver(
  api: ApiClient,
  pipeline: string,
  options: ApiOptions,
  signal: AbortSignal,
): Promise<PipelineStatus | null> {
  const screen = screenFor(options);
  while (!signal.aborted) {
    const status = await statusOrNull(api, pipeline);
    if (status?.state === "cut-over") {
      screen.clear();
      return status;
    }
    // One that had failed before it was cut over is shown as failed until the coordinator has looked at it again.
    if (status?.state === "failed" && status.since > (status.cutover?.since ?? -1)) throw failure(status);
    if (status !== null && status.cutover?.phase === "cancelled") {
      throw new OperatorError(`the cut-over of ${pipeline} was taken back`, "Ask for it again when the pipeline runs.");
    }
    const line = status === null ? "the coordinator does not answer" : lineOf(status);
    screen.update(status?.cutover?.phase ?? "unreachable", line);
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
  screen.clear();
  return null;
}

async function statusOrNull(api: ApiClient, pipeline: string): Promise<PipelineStatus | null> {
  try {
    return await api.status(pipeline);
  } catch (cause) {
    if (cause instanceof ApiUnreachable) return null;
    throw cause;
  }
}

/** What a cut-over does now, in one line. */
function lineOf({ state, reason, cutover }: PipelineStatus): string {
  const parts = [state, printable(reason === "" ? (cutover?.reason ?? "") : reason)];
  const walking = Object.entries(cutover?.groups ?? {}).filter(([, { isDone, expected }]) => !isDone && expected > 0);
  for (const [group, { looked, expected }] of walking) {
    parts.push(`${group} ${formatCount(looked)} of ${formatCount(expected)} keys`);
  }
  return parts.join(" · ");
}

function settledKeys({ cutover }: PipelineStatus): string {
  return Object.entries(cutover?.groups ?? {})
    .map(
      ([group, { looked, settled }]) =>
        `${formatCount(settled)} expiries among ${formatCount(looked)} keys of ${group} set right`,
    )
    .join(", ");
}
