import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import { apiAddress } from "../api/api-address.ts";
import { ApiClient } from "../api/api-client.ts";
import { waitFor, type WaitGoal } from "../api/wait-for.ts";
import { OperatorError } from "../operator-error.ts";
import { readPipeline } from "../read-pipeline.ts";
import { listTable, statusTable } from "../view/status-table.ts";

const WATCH_MS = 1_000;
const STOP_LIMIT_MS = 20_000;
const POLL_MS = 200;
const CLEAR_SCREEN = "\u001b[H\u001b[2J";

/** Where to ask, for the commands that only ask. */
export interface ApiOptions {
  readonly api?: string;
  readonly data: string;
}

export interface StatusOptions extends ApiOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly lanes?: boolean;
}

/** Looks for the address at every request: a run that has been started meanwhile is found. */
export function clientOf({ api, data }: ApiOptions): ApiClient {
  return new ApiClient(async () => apiAddress(api, data, process.env));
}

/** `sluice status`: one pipeline, or the list of all. With `watch` it goes on until it is interrupted. */
export async function showStatus(pipeline: string | undefined, options: StatusOptions): Promise<void> {
  const { json = false, watch = false, lanes = false } = options;
  const interrupted = new AbortController();
  if (watch) for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.abort());
  const api = clientOf(options);
  do {
    const text = await statusText(api, pipeline, json, lanes);
    const clear = watch && !json && process.stdout.isTTY ? CLEAR_SCREEN : "";
    process.stdout.write(`${clear}${text}\n`);
    if (watch) await delay(WATCH_MS, undefined, { signal: interrupted.signal }).catch(() => undefined);
  } while (watch && !interrupted.signal.aborted);
}

async function statusText(api: ApiClient, pipeline: string | undefined, json: boolean, lanes: boolean): Promise<string> {
  if (pipeline === undefined) {
    const list = await api.list();
    return json ? JSON.stringify(list) : listTable(list);
  }
  const status = await api.status(pipeline);
  return json ? JSON.stringify(status) : statusTable(status, Date.now(), { lanes });
}

/** `sluice wait`. */
export async function waitForPipeline(pipeline: string, goal: WaitGoal, timeoutMs: number, options: ApiOptions): Promise<void> {
  await waitFor(clientOf(options), pipeline, { goal, timeoutMs });
  process.stdout.write(`${pipeline} is ${goal}\n`);
}

/** `sluice start`: creates the pipeline of a file, or lets it go on. Passwords are read here, where the command runs. */
export async function startPipeline(file: string, options: ApiOptions): Promise<void> {
  const { name, written } = await readPipeline(file, process.env);
  await clientOf(options).start(written);
  process.stdout.write(`${name} is started\n`);
}

/** `sluice stop`: what is stored is applied first. */
export async function stopPipeline(pipeline: string, options: ApiOptions): Promise<void> {
  const api = clientOf(options);
  await api.stop(pipeline);
  const deadlineMs = performance.now() + STOP_LIMIT_MS;
  let status: PipelineStatus = await api.status(pipeline);
  while (status.state !== "stopped" && status.desired !== "cut-over") {
    if (performance.now() > deadlineMs) {
      throw new OperatorError(
        `${pipeline} is to stop, and is still ${status.state} after ${STOP_LIMIT_MS / 1000} s`,
        `Look at it with \`sluice status ${pipeline}\`.`,
      );
    }
    await delay(POLL_MS);
    status = await api.status(pipeline);
  }
  process.stdout.write(`${pipeline} is ${status.desired === "cut-over" ? "cut over, or will be" : "stopped"}\n`);
}
