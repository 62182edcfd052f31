import { answer, clientOf, type ApiOptions } from "./asking.ts";
import { untilState } from "./until-state.ts";

/** `sluice stop`: what is stored is applied first. */
export async function stopPipeline(pipeline: string, options: ApiOptions): Promise<void> {
  const api = clientOf(options);
  await api.stop(pipeline);
  const status = await untilState(api, pipeline, "stop", ({ state, desired }) => state === "stopped" || desired === "cut-over");
  answer(options, status, `${pipeline} is ${status.desired === "cut-over" ? "cut over, or will be" : "stopped"}`);
}
