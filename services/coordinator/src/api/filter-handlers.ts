import type { DeskDeps } from "../desk/desk-deps.ts";
import { previewFilters } from "../desk/preview-filters.ts";
import { readFilterPreview } from "./posted-body.ts";
import { ok, type RouteHandlers } from "./route-call.ts";

export function filterHandlers(deps: DeskDeps): Pick<RouteHandlers, "previewFilters"> {
  return {
    previewFilters: async ({ body }) => {
      const { pipeline, request } = readFilterPreview(body);
      return ok(await previewFilters(pipeline, request, deps));
    },
  };
}
