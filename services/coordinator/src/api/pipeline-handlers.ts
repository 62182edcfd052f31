import { createPipeline } from "../desk/create-pipeline.ts";
import { deletePipeline } from "../desk/delete-pipeline.ts";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { editPipeline } from "../desk/edit-pipeline.ts";
import { readCreate } from "./posted-body.ts";
import { ok, type RouteHandlers } from "./route-call.ts";
import type { StatusDesk } from "./status-desk.ts";

/** The pipelines that there are: made, shown, edited and deleted. */
export function pipelineHandlers(
  desk: StatusDesk,
  deps: DeskDeps,
): Pick<
  RouteHandlers,
  "listPipelines" | "createPipeline" | "getPipeline" | "editPipeline" | "patchPipeline" | "deletePipeline"
> {
  return {
    listPipelines: async () => {
      const pipelines = desk.active.book.all.map(({ name, spec, state }) => ({
        name,
        state: state?.value.state ?? ("created" as const),
        desired: spec?.value.desired ?? ("created" as const),
        since: state?.value.since ?? spec?.value.createdAt ?? 0,
        reason: state?.value.reason ?? "",
      }));
      return ok({ pipelines });
    },
    createPipeline: async ({ body }) => {
      const { pipeline, options } = readCreate(body);
      const created = await createPipeline(pipeline, options, deps);
      return { status: created.outcome === "created" ? 201 : 200, body: created };
    },
    getPipeline: async ({ params }) => ok(await desk.status(params.name)),
    editPipeline: async ({ params, query, body }) =>
      ok(await editPipeline(params.name, body, { dryRun: query.dryRun ?? false, isPatch: false }, deps)),
    patchPipeline: async ({ params, query, body }) =>
      ok(await editPipeline(params.name, body, { dryRun: query.dryRun ?? false, isPatch: true }, deps)),
    deletePipeline: async ({ params, query }) => {
      const deleted = await deletePipeline(params.name, { force: query.force ?? false }, deps);
      return ok({ ...deleted, outcome: "deleted" });
    },
  };
}
