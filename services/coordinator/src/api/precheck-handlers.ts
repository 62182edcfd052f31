import { precheckRequest } from "@sluice/wire";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { precheckPipeline, precheckPosted } from "../desk/precheck-pipeline.ts";
import { Refusal } from "../desk/refusal.ts";
import { readPrecheckFile } from "./posted-body.ts";
import { ok, read, type RouteHandlers } from "./route-call.ts";
import type { StatusDesk } from "./status-desk.ts";

export function precheckHandlers(
  desk: StatusDesk,
  deps: DeskDeps,
): Pick<RouteHandlers, "precheckPipeline" | "getPrecheck" | "precheckFile"> {
  return {
    precheckPipeline: async ({ params, body }) => {
      const request = read(precheckRequest, body ?? {}, "the body");
      return ok(await precheckPipeline(params.name, request, deps));
    },
    getPrecheck: async ({ params: { name } }) => {
      const { precheck } = await desk.known(name);
      if (precheck === null || precheck.value.report.results.length === 0)
        throw new Refusal(
          404,
          "API-001",
          `no prechecks of pipeline ${name} have run yet`,
          "Post to the same path to run them.",
        );
      return ok(precheck.value.report);
    },
    precheckFile: async ({ body }) => {
      const { pipeline, request } = readPrecheckFile(body);
      return ok(await precheckPosted(pipeline, request, deps));
    },
  };
}
