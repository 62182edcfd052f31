import { answer, clientOf, type ApiOptions } from "./asking.ts";
import { untilState } from "./until-state.ts";

/** `sluice pause`: nothing is applied any more; what the source writes is stored. */
export async function pausePipeline(pipeline: string, options: ApiOptions): Promise<void> {
  const api = clientOf(options);
  await api.pause(pipeline);
  const status = await untilState(api, pipeline, {
    verb: "pause",
    isThere: ({ state }) => state === "paused",
    isWanted: ({ desired }) => desired === "paused",
  });
  answer(
    options,
    status,
    `${pipeline} is paused; what the source writes is stored meanwhile\nto go on: sluice resume ${pipeline}`,
  );
}
