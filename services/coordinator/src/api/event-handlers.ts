import type { ApiEvent } from "@sluice/wire";
import type { KnownPipeline } from "../lifecycle/pipeline-book.ts";
import { openCursor } from "./event-cursor.ts";
import type { EventStreams } from "./event-streams.ts";
import { ok, type RouteCall, type RouteHandlers } from "./route-call.ts";
import type { StatusDesk } from "./status-desk.ts";

export function eventHandlers(desk: StatusDesk, streams: EventStreams): Pick<RouteHandlers, "pipelineEvents" | "allEvents"> {
  const answer = (
    { query, request, reply }: RouteCall<"pipelineEvents" | "allEvents">,
    name: string | null,
    pipelines: readonly KnownPipeline[],
  ) => {
    const said = request.headers["last-event-id"];
    const after = query.after ?? (typeof said === "string" ? said : undefined);
    if (!wantsStream(request.headers.accept ?? "")) {
      const events: ApiEvent[] = openCursor(name === null, after).take(pipelines);
      return ok({ events: events.slice(-query.limit) });
    }
    streams.checkRoom();
    reply.hijack();
    streams.follow(reply.raw, name, after);
    return null;
  };
  return {
    pipelineEvents: async (call) => {
      const known = await desk.known(call.params.name);
      return answer(call, known.name, [known]);
    },
    allEvents: async (call) => answer(call, null, desk.active.book.all),
  };
}

function wantsStream(accept: string): boolean {
  return accept.split(",").some((media) => media.split(";")[0]?.trim().toLowerCase() === "text/event-stream");
}
