import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { describeFault, Fault, Retryable, type Logger, type Meters } from "@sluice/runtime";
import { apiRoutes, type ApiOperation, type ApiRoute } from "@sluice/wire";
import type { ApiSettings } from "../config.ts";
import type { DeskDeps } from "../desk/desk-deps.ts";
import { Refusal } from "../desk/refusal.ts";
import { ApiGuard } from "./api-guard.ts";
import { commandHandlers } from "./command-handlers.ts";
import { RequestTally } from "./request-tally.ts";
import { checkedAnswer, readCall, type RouteHandler, type RouteHandlers } from "./route-call.ts";
import { filterHandlers } from "./filter-handlers.ts";
import { eventHandlers } from "./event-handlers.ts";
import { EventStreams } from "./event-streams.ts";
import { pipelineHandlers } from "./pipeline-handlers.ts";
import { precheckHandlers } from "./precheck-handlers.ts";
import { referenceHandlers } from "./reference-handlers.ts";
import { StatusDesk, type ActiveCoordinator } from "./status-desk.ts";

export type { ActiveCoordinator } from "./status-desk.ts";

/** A pipeline file may be 1 MB. */
const BODY_LIMIT_BYTES = 1024 * 1024;
/** A whole request has to be here by then. */
const REQUEST_LIMIT_MS = 30_000;
/** A connection on which nothing moves for so long is closed; streams of events have their heartbeats. */
const SILENCE_LIMIT_MS = 60_000;
const MOST_CONNECTIONS = 512;

export interface ApiDeps extends DeskDeps {
  /** Null while this coordinator stands by. */
  active(): ActiveCoordinator | null;
  /** Without them: no token, plain HTTP. */
  readonly settings?: Pick<ApiSettings, "token" | "tls">;
  /** Figures of this process for `/metrics`; without them there are only those of pipelines. */
  readonly meters?: Meters;
}

/**
 * The HTTP API: the routes of `apiRoutes` and nothing else, each checked as the OpenAPI document says it. Every refusal is an
 * `apiError`; what was not foreseen is logged and told without detail.
 */
export function createApi(deps: ApiDeps): FastifyInstance {
  const api = createServer(deps.settings?.tls ?? null);
  const guard = new ApiGuard(deps.settings?.token ?? null);
  const tally = new RequestTally();
  const desk = new StatusDesk(deps, () => deps.active());
  const streams = new EventStreams({ book: () => desk.book, clock: deps.clock, log: deps.log });
  const measuring = new AbortController();
  let measured = Promise.resolve();
  api.addHook("onReady", async () => {
    measured = desk.keepMeasuring(measuring.signal);
  });
  api.addHook("preClose", async () => {
    measuring.abort();
    streams.close();
    await measured;
  });
  api.setErrorHandler(async (cause, request, reply) => {
    const refusal = refusalOf(cause, deps.log, `${request.method} ${request.url.split("?")[0] ?? ""}`);
    if (refusal.status === 401) reply.header("www-authenticate", 'Bearer realm="sluice"');
    return reply.status(refusal.status).send(refusal.body);
  });
  api.setNotFoundHandler(() => {
    throw new Refusal(404, "API-001", "there is no such path", "The paths are in /api/v1/openapi.json.");
  });
  const handlers: RouteHandlers = {
    ...pipelineHandlers(desk, deps),
    ...commandHandlers(desk, deps),
    ...precheckHandlers(desk, deps),
    ...filterHandlers(deps),
    ...eventHandlers(desk, streams),
    ...referenceHandlers(desk, { streams, tally, meters: deps.meters ?? null }),
  };
  for (const op of Object.keys(apiRoutes) as ApiOperation[]) {
    const route: ApiRoute = apiRoutes[op];
    const handler = handlers[op] as RouteHandler<ApiOperation>;
    api.route({
      method: route.method,
      url: route.path.replaceAll(/\{(\w+)\}/g, ":$1"),
      onRequest: async (request) => {
        if (route.isOpen !== true) guard.check(request.headers);
        if (route.isAnyones !== true) void desk.active;
      },
      onResponse: async (_, reply) => tally.count(op, reply.statusCode),
      handler: async (request, reply) => answer(op, handler, request, reply),
    });
  }
  return api;
}

function createServer(tls: { readonly cert: string; readonly key: string } | null): FastifyInstance {
  const api = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    requestTimeout: REQUEST_LIMIT_MS,
    connectionTimeout: SILENCE_LIMIT_MS,
    ...(tls === null ? {} : { https: tls }),
  }) as unknown as FastifyInstance;
  api.server.maxConnections = MOST_CONNECTIONS;
  // What a page of another site may send without asking first.
  api.removeContentTypeParser("text/plain");
  return api;
}

async function answer(
  op: ApiOperation,
  handler: RouteHandler<ApiOperation>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const answered = await handler(readCall(op, request, reply));
  if (answered === null) return reply;
  return reply.status(answered.status).header("cache-control", "no-store").send(checkedAnswer(op, answered));
}

function refusalOf(cause: unknown, log: Logger, request: string): Refusal {
  if (cause instanceof Refusal) return cause;
  if (cause instanceof Fault) return new Refusal(cause instanceof Retryable ? 503 : 422, cause.code, describeFault(cause));
  const status = cause instanceof Error && "statusCode" in cause ? Number(cause.statusCode) : 500;
  if (status === 413) return new Refusal(413, "API-001", `the body is larger than ${BODY_LIMIT_BYTES} bytes`);
  if (status === 415) return new Refusal(415, "API-001", "expected the content type application/json");
  if (status >= 400 && status < 500) return new Refusal(400, "API-001", "the request can't be read; expected a body in JSON");
  log.error({ request, stack: cause instanceof Error ? cause.stack : undefined }, `a request failed: ${describeFault(cause)}`);
  return new Refusal(500, "SLU-001", "the request failed in a way that was not foreseen; the coordinator's log says more");
}
