import type { PipelineStatus } from "@sluice/wire";
import { printable } from "../view/printable.ts";
import { formatSeconds } from "../view/quantity.ts";
import { answer, clientOf, hint, type ApiOptions } from "./asking.ts";
import { untilState } from "./until-state.ts";

/** The coordinator ends the stop by itself when its time is up; it may be another one by then, which begins to count anew. */
const TAKEOVER_MS = 20_000;
/** How every reason of a stop that is under way, or over, begins. */
const STOPPING = "stopping: ";
const STOPPED = "stopped by the operator; ";

export interface StopOptions extends ApiOptions {
  /** How long the lanes may take to apply what is stored, in ms. */
  readonly within: number;
}

/** `sluice stop`: what is stored is applied first, and what that waits for is told whenever it is something else. */
export async function stopPipeline(pipeline: string, options: StopOptions): Promise<void> {
  const api = clientOf(options);
  const { within } = options;
  await api.stop(pipeline, within);
  let told = "";
  const onWaiting = ({ reason }: PipelineStatus): void => {
    if (reason === told || !reason.startsWith(STOPPING)) return;
    if (told === "")
      hint(
        options,
        `${pipeline} is stopping, for ${formatSeconds(within / 1000)} at most; sluice stop ${pipeline} --within 0s ends it`,
      );
    told = reason;
    hint(options, printable(reason));
  };
  const isWanted = ({ desired }: PipelineStatus): boolean => desired === "stopped";
  const isThere = ({ state, desired }: PipelineStatus): boolean => state === "stopped" || desired === "cut-over";
  const wish = { verb: "stop", isThere, isWanted };
  const status = await untilState(api, pipeline, wish, { limitMs: within + TAKEOVER_MS, onWaiting });
  if (status.desired === "cut-over") return answer(options, status, `${pipeline} is cut over, or will be`);
  const left = status.reason.startsWith(STOPPED) ? `: ${printable(status.reason.slice(STOPPED.length))}` : "";
  answer(options, status, `${pipeline} is stopped${left}`);
}
