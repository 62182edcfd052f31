import { fastify, type FastifyInstance } from "fastify";
import { describeFault, Fault, Retryable, type Logger } from "@sluice/runtime";
import {
  cutoverRecord,
  pipelineList,
  pipelineStatus,
  recordKey,
  writtenSpec,
  type PipelineList,
  type PipelineStatus,
} from "@sluice/wire";
import type { SourceView } from "../checkpoint/lane-lag.ts";
import type { KnownPipeline, PipelineBook } from "../lifecycle/pipeline-book.ts";
import { requestCutover } from "../settle/request-cutover.ts";
import { statusOf } from "./pipeline-status.ts";
import { Refusal } from "./refusal.ts";
import { settlePosted, startPipeline, stopPipeline, type DeskDeps } from "./start-pipeline.ts";

const BODY_LIMIT_BYTES = 1024 * 1024;

/** What the coordinator that holds the lease knows. */
export interface ActiveCoordinator {
  readonly book: PipelineBook;
  sourcesOf(pipeline: string): ReadonlyMap<string, SourceView>;
}

export interface ApiDeps extends DeskDeps {
  /** Null while this coordinator stands by. */
  active(): ActiveCoordinator | null;
}

/** The HTTP API. Every refusal is an `apiError`; what was not foreseen is logged and told without detail. */
export function createApi(deps: ApiDeps): FastifyInstance {
  const api = fastify({ logger: false, bodyLimit: BODY_LIMIT_BYTES, forceCloseConnections: true });
  api.removeContentTypeParser("text/plain");
  api.setErrorHandler(async (cause, request, reply) => {
    const refusal = refusalOf(cause, deps.log, `${request.method} ${request.url}`);
    return reply.status(refusal.status).send(refusal.body);
  });
  api.setNotFoundHandler(() => {
    throw new Refusal(404, "API-001", "there is no such path", "The paths begin with /api/v1/pipelines, /livez and /readyz.");
  });

  api.get("/livez", (_, reply) => reply.send({ alive: true }));
  api.get("/readyz", (_, reply) => {
    activeOf(deps);
    return reply.send({ ready: true });
  });

  api.post("/api/v1/pipelines", async (request, reply) => {
    activeOf(deps);
    const started = await startPipeline(request.body, deps);
    deps.log.info({ pipeline: started.name, outcome: started.outcome }, "pipeline accepted");
    return reply.status(started.outcome === "created" ? 201 : 200).send(started);
  });
  api.get("/api/v1/pipelines", (_, reply) => {
    const pipelines = activeOf(deps).book.all.map(({ name, state }) => ({
      name,
      state: state?.value.state ?? ("created" as const),
    }));
    const list: PipelineList = pipelineList.parse({ pipelines });
    return reply.send(list);
  });
  api.get<{ Params: { name: string } }>("/api/v1/pipelines/:name", (request) => status(request.params.name, deps));
  api.post<{ Params: { name: string } }>("/api/v1/pipelines/:name/stop", async (request, reply) => {
    activeOf(deps);
    const { name } = request.params;
    if (!isName(name) || !(await stopPipeline(name, deps))) throw noSuchPipeline(name);
    deps.log.info({ pipeline: name }, "stop asked for");
    return reply.status(202).send(await status(name, deps));
  });
  api.post<{ Params: { name: string } }>("/api/v1/pipelines/:name/cutover", async (request, reply) => {
    const { name } = request.params;
    const active = activeOf(deps);
    const known = await knownOf(name, active, deps);
    if (known === null) throw noSuchPipeline(name);
    const isForced = readForce(request.body);
    const state = known.state?.value.state ?? "created";
    await requestCutover({ name, isForced, state, nowMs: deps.clock.nowMs() }, deps.records);
    deps.log.info({ pipeline: name, isForced }, "cut-over asked for");
    return reply.status(202).send(await status(name, deps));
  });
  api.post("/api/v1/settle", async (request, reply) => {
    activeOf(deps);
    const name = await settlePosted(request.body, deps);
    deps.log.info({ pipeline: name }, "settling asked for");
    return reply.status(202).send(await status(name, deps));
  });
  return api;
}

/** `{}` or `{"force": true}`. */
function readForce(body: unknown): boolean {
  if (typeof body !== "object" || body === null) return false;
  const { force = false, ...others } = body as { force?: unknown };
  if (typeof force === "boolean" && Object.keys(others).length === 0) return force;
  throw new Refusal(400, "API-001", "expected an object with nothing but `force`, true or false");
}

async function status(name: string, deps: ApiDeps): Promise<PipelineStatus> {
  const active = activeOf(deps);
  const known = await knownOf(name, active, deps);
  if (known === null) throw noSuchPipeline(name);
  const size = await deps.streamOf(name).size();
  return pipelineStatus.parse(statusOf(known, active.sourcesOf(name), size));
}

/** The watch may not have told of a pipeline yet that was accepted a moment ago: then its record is read. */
async function knownOf(name: string, { book }: ActiveCoordinator, { records }: ApiDeps): Promise<KnownPipeline | null> {
  if (!isName(name)) return null;
  const key = recordKey.spec(name);
  const spec = await records.get(key, writtenSpec);
  if (spec === null) return null;
  book.take({ key, ...spec });
  const cutover = await records.get(recordKey.cutover(name), cutoverRecord);
  if (cutover !== null) book.take({ key: recordKey.cutover(name), ...cutover });
  return book.get(name);
}

/** A name from a URL stands in a record key. */
function isName(name: string): boolean {
  return /^[a-z0-9-]{1,32}$/.test(name);
}

function noSuchPipeline(name: string): Refusal {
  return new Refusal(404, "PIP-002", `there is no pipeline ${JSON.stringify(name.slice(0, 40))}`);
}

function activeOf(deps: ApiDeps): ActiveCoordinator {
  const active = deps.active();
  if (active === null) {
    throw new Refusal(
      503,
      "SLU-003",
      "this coordinator stands by",
      "Ask the one that is active, or wait: it takes over when that one ends.",
    );
  }
  return active;
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
