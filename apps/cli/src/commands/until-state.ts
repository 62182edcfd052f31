import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import type { ApiClient } from "../api/api-client.ts";
import { OperatorError } from "../operator-error.ts";

const LIMIT_MS = 20_000;
const POLL_MS = 200;

/** Waits for what was asked for, `wish` (`stop`, `pause`), up to 20 s. Throws `OperatorError` after that. */
export async function untilState(
  api: ApiClient,
  pipeline: string,
  wish: string,
  isThere: (status: PipelineStatus) => boolean,
): Promise<PipelineStatus> {
  const deadlineMs = performance.now() + LIMIT_MS;
  for (;;) {
    const status = await api.status(pipeline);
    if (isThere(status)) return status;
    if (performance.now() > deadlineMs) {
      throw new OperatorError(
        `${pipeline} is to ${wish}, and is still ${status.state} after ${LIMIT_MS / 1000} s`,
        `Look at it with \`sluice status ${pipeline}\`.`,
      );
    }
    await delay(POLL_MS);
  }
}
