import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import { ApiUnreachable, type ApiClient } from "../api/api-client.ts";
import { OperatorError } from "../operator-error.ts";
import { formatSeconds } from "../view/quantity.ts";

const LIMIT_MS = 20_000;
const POLL_MS = 200;
/** What was wanted before may be shown for so long yet. */
const OLD_WISH_MS = 3_000;

export interface UntilOptions {
  /** The longest wait; default 20 s. */
  readonly limitMs?: number;
  /** Gets every status on the way. */
  readonly onWaiting?: (status: PipelineStatus) => void;
}

/** What is waited for. */
export interface Wish {
  /** `stop`, `pause` */
  readonly verb: string;
  readonly isThere: (status: PipelineStatus) => boolean;
  /** False: by now something else is wanted of the pipeline, and it will never be there. */
  readonly isWanted: (status: PipelineStatus) => boolean;
}

/**
 * Waits for what was asked for. An API that does not answer for a while is waited for. Throws `OperatorError` when the time is up, or when
 * somebody wants something else of the pipeline meanwhile; `ApiRefusal`, as where it is deleted.
 */
export async function untilState(
  api: ApiClient,
  pipeline: string,
  { verb, isThere, isWanted }: Wish,
  { limitMs = LIMIT_MS, onWaiting = () => undefined }: UntilOptions = {},
): Promise<PipelineStatus> {
  const askedAtMs = performance.now();
  let wasWanted = false;
  let last = "its status is not known";
  for (;;) {
    try {
      const status = await api.status(pipeline);
      if (isThere(status)) return status;
      const isOld = !wasWanted && performance.now() - askedAtMs < OLD_WISH_MS;
      if (isWanted(status)) wasWanted = true;
      else if (!isOld) throw otherwise(status, verb);
      onWaiting(status);
      last = `is still ${status.state} after ${formatSeconds(limitMs / 1000)}: ${status.reason}`;
    } catch (cause) {
      if (!(cause instanceof ApiUnreachable)) throw cause;
      last = `after ${formatSeconds(limitMs / 1000)} nobody tells how far it is: ${cause.message}`;
    }
    if (performance.now() - askedAtMs > limitMs)
      throw new OperatorError(`${pipeline} is to ${verb}, and ${last}`, `Look at it with \`sluice status ${pipeline}\`.`);
    await delay(POLL_MS);
  }
}

function otherwise({ name, desired, state }: PipelineStatus, verb: string): OperatorError {
  return new OperatorError(
    `${name} is not to ${verb} any more: something else was asked for since, or it has failed; wanted of it is \`${desired}\`, and it is ${state}`,
    `\`sluice events ${name}\` tells what. \`sluice ${verb} ${name}\` asks for it again.`,
  );
}
