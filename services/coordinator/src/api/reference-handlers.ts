import { codes, MetricPage, METRICS_CONTENT_TYPE, type Code, type Meters } from "@sluice/runtime";
import { openApiDocument, pipelineJsonSchema } from "@sluice/wire";
import { Refusal } from "../desk/refusal.ts";
import { collectPipeline } from "../metrics/pipeline-metrics.ts";
import type { EventStreams } from "./event-streams.ts";
import type { RequestTally } from "./request-tally.ts";
import { ok, type RouteHandlers } from "./route-call.ts";
import type { StatusDesk } from "./status-desk.ts";

/** Version of the API's document; grows with `/api/v1` itself, not with every release. */
const API_VERSION = "1.0.0";

export interface ReferenceDeps {
  readonly streams: EventStreams;
  readonly tally: RequestTally;
  readonly meters: Meters | null;
}

/** What describes Sluice, and what watches it. */
export function referenceHandlers(
  desk: StatusDesk,
  { streams, tally, meters }: ReferenceDeps,
): Pick<RouteHandlers, "getSchema" | "listCodes" | "getCode" | "getOpenApi" | "getMetrics" | "isAlive" | "isReady"> {
  return {
    getSchema: async () => ok(pipelineJsonSchema()),
    listCodes: async () => ok({ codes: Object.entries(codes).map(([code, meaning]) => ({ code, ...meaning })) }),
    getCode: async ({ params }) => {
      const code = params.code.toUpperCase();
      if (!Object.hasOwn(codes, code))
        throw new Refusal(404, "API-001", `there is no code ${code}`, "All of them are at /api/v1/codes.");
      return ok({ code, ...codes[code as Code] });
    },
    getOpenApi: async () => ok(openApiDocument(API_VERSION)),
    getMetrics: async ({ reply }) => {
      const page = new MetricPage();
      page.set("sluice_coordinator_active", {}, desk.book === null ? 0 : 1);
      for (const status of await desk.allStatuses()) collectPipeline(page, status);
      tally.collect(page);
      page.set("sluice_api_event_clients", {}, streams.count);
      meters?.collect(page);
      reply.header("content-type", METRICS_CONTENT_TYPE);
      return ok(page.text());
    },
    isAlive: async () => ok({ alive: true }),
    isReady: async () => ok({ ready: true }),
  };
}
