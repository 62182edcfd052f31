import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import type { ApiClient } from "../api/api-client.ts";
import { OperatorError } from "../operator-error.ts";
import { formatSeconds } from "../view/quantity.ts";

const LIMIT_MS = 20_000;
const POLL_MS = 200;

export interface UntilOptions {
  /** The longest wait; default 20 s. */
  readonly limitMs?: number;
  /** Gets every status on the way. */
  readonly onWaiting?: (status: PipelineStatus) => void;
}

/** Waits for what was asked for, `wish` (`stop`, `pause`). Throws `OperatorError` when the time is up. */
export async function untilState(
  api: ApiClient,
  pipeline: string,
  wish: string,
  isThere: (status: PipelineStatus) => boolean,
  { limitMs = LIMIT_MS, onWaiting = () => undefined }: UntilOptions = {},
): Promise<PipelineStatus> {
  const deadlineMs = performance.now() + limitMs;
  for (;;) {
    const status = await api.status(pipeline);
    if (isThere(status)) return status;
    onWaiting(status);
    if (performance.now() > deadlineMs) {
      throw new OperatorError(
        `${pipeline} is to ${wish}, and is still ${status.state} after ${formatSeconds(limitMs / 1000)}: ${status.reason}`,
        `Look at it with \`sluice status ${pipeline}\`.`,
      );
    }
    await delay(POLL_MS);
  }
}
