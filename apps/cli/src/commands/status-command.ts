import { setTimeout as delay } from "node:timers/promises";
import { ApiUnreachable, type ApiClient } from "../api/api-client.ts";
import { Interrupts } from "../run/interrupts.ts";
import { listTable, statusTable } from "../view/status-table.ts";
import { clientOf, hint, type ApiOptions } from "./asking.ts";

const WATCH_MS = 1_000;
const CLEAR_SCREEN = "\u001b[H\u001b[2J";

export interface StatusOptions extends ApiOptions {
  readonly watch?: boolean;
  readonly lanes?: boolean;
}

/** `sluice status`: one pipeline, or the list of all. With `watch` it goes on until it is interrupted. */
export async function showStatus(pipeline: string | undefined, options: StatusOptions): Promise<void> {
  const api = clientOf(options);
  if (options.watch !== true) {
    process.stdout.write(`${await statusText(api, pipeline, options)}\n`);
    return;
  }
  const interrupts = new Interrupts(() => process.exit(1));
  try {
    await watch(api, pipeline, options, interrupts.signal);
    hint(
      options,
      `what it shows goes on; to see it again: sluice status ${pipeline === undefined ? "" : `${pipeline} `}--watch`,
    );
  } finally {
    interrupts.close();
  }
}

/** An API that has answered once is waited for when it is away. */
async function watch(
  api: ApiClient,
  pipeline: string | undefined,
  options: StatusOptions,
  interrupted: AbortSignal,
): Promise<void> {
  const { json = false } = options;
  const clear = !json && process.stdout.isTTY ? CLEAR_SCREEN : "";
  let hasAnswered = false;
  while (!interrupted.aborted) {
    try {
      const text = await statusText(api, pipeline, options);
      hasAnswered = true;
      process.stdout.write(`${clear}${text}\n`);
    } catch (cause) {
      if (!hasAnswered || !(cause instanceof ApiUnreachable)) throw cause;
      if (json) process.stderr.write(`${JSON.stringify({ error: { message: cause.message } })}\n`);
      else process.stdout.write(`${clear}${cause.message}; it is asked again\n`);
    }
    await delay(WATCH_MS, undefined, { signal: interrupted }).catch(() => undefined);
  }
}

async function statusText(
  api: ApiClient,
  pipeline: string | undefined,
  { json = false, lanes = false }: StatusOptions,
): Promise<string> {
  if (pipeline === undefined) {
    const list = await api.list();
    return json ? JSON.stringify(list) : listTable(list, Date.now());
  }
  const status = await api.status(pipeline);
  return json ? JSON.stringify(status) : statusTable(status, Date.now(), { lanes, bars: process.stdout.isTTY });
}
