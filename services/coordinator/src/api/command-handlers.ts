import { cutoverRequest, stopRequest } from "@sluice/wire";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { settlePosted } from "../desk/settle-posted.ts";
import { resumePipeline, startPipeline } from "../desk/start-pipeline.ts";
import { pausePipeline, stopPipeline } from "../desk/stop-pipeline.ts";
import { requestCutover } from "../settle/request-cutover.ts";
import { readStart } from "./posted-body.ts";
import { accepted, read, type RouteHandlers } from "./route-call.ts";
import type { StatusDesk } from "./status-desk.ts";

/** What an operator tells a pipeline to do. Each command is accepted here, and carried out by whoever it concerns. */
export function commandHandlers(
  desk: StatusDesk,
  deps: DeskDeps,
): Pick<RouteHandlers, "startPipeline" | "pausePipeline" | "resumePipeline" | "stopPipeline" | "cutoverPipeline" | "settle"> {
  const statusOf = async (name: string) => accepted(await desk.status(name));
  return {
    startPipeline: async ({ params, body }) => {
      await startPipeline(params.name, deps, readStart(body));
      return statusOf(params.name);
    },
    pausePipeline: async ({ params }) => {
      await pausePipeline(params.name, deps);
      return statusOf(params.name);
    },
    resumePipeline: async ({ params, query, body }) => {
      const dryRun = query.dryRun ?? false;
      const resumed = await resumePipeline(params.name, deps, { ...readStart(body), dryRun });
      return { status: dryRun ? 200 : 202, body: { ...resumed, status: await desk.status(params.name) } };
    },
    stopPipeline: async ({ params, body }) => {
      await stopPipeline(params.name, deps, read(stopRequest, body ?? {}, "the body").within);
      return statusOf(params.name);
    },
    cutoverPipeline: async ({ params: { name }, body }) => {
      const known = await desk.known(name);
      const { force } = read(cutoverRequest, body ?? {}, "the body");
      const state = known.state?.value.state ?? "created";
      await requestCutover({ name, isForced: force, state, nowMs: deps.clock.nowMs() }, deps.records);
      deps.log.info({ pipeline: name, isForced: force }, "cut-over asked for");
      return statusOf(name);
    },
    settle: async ({ body }) => {
      const name = await settlePosted(body, deps);
      deps.log.info({ pipeline: name }, "settling asked for");
      return statusOf(name);
    },
  };
}
