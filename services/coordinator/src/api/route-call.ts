import type { FastifyReply, FastifyRequest } from "fastify";
import { apiRoutes, type ApiOperation, type ApiRoute, type ApiSchema, type ReadBy } from "@sluice/wire";
import { Refusal } from "../desk/refusal.ts";
import { noSuchPipeline } from "../desk/spec-change.ts";

type Part<Op extends ApiOperation, K extends "params" | "query"> =
  (typeof apiRoutes)[Op] extends Record<K, infer Schema extends ApiSchema> ? ReadBy<Schema> : Record<string, never>;

/** A request whose parameters were read as its route declares them. */
export interface RouteCall<Op extends ApiOperation> {
  readonly params: Part<Op, "params">;
  readonly query: Part<Op, "query">;
  /** As it was sent; null where there is none. */
  readonly body: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** What a route answers with; null where it has taken the reply over. */
export interface RouteAnswer {
  readonly status: number;
  readonly body: unknown;
}

export type RouteHandler<Op extends ApiOperation> = (call: RouteCall<Op>) => Promise<RouteAnswer | null>;
export type RouteHandlers = { readonly [Op in ApiOperation]: RouteHandler<Op> };

export const ok = (body: unknown): RouteAnswer => ({ status: 200, body });
export const accepted = (body: unknown): RouteAnswer => ({ status: 202, body });

/** Reads a request as its route declares it. Throws `Refusal` 404 where a name in the path can't be one, 400 API-001. */
export function readCall<Op extends ApiOperation>(op: Op, request: FastifyRequest, reply: FastifyReply): RouteCall<Op> {
  const route: ApiRoute = apiRoutes[op];
  const params = route.params?.safeParse(request.params);
  if (params?.success === false) throw notFound(request.params as Record<string, string>);
  const query = route.query === undefined ? {} : read(route.query, request.query, "the query");
  return {
    params: (params?.data ?? {}) as Part<Op, "params">,
    query: query as Part<Op, "query">,
    body: request.body ?? null,
    request,
    reply,
  };
}

/** Throws `Refusal` 400 API-001 that names every fault, without quoting what was sent. */
export function read<S extends ApiSchema>(schema: S, value: unknown, what: string): ReadBy<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.slice(0, 10).map(({ path, message }) => {
    const place = path.map(String).join(".");
    return place === "" ? message : `${place}: ${message}`;
  });
  throw new Refusal(400, "API-001", `${what} is not as expected: ${faults.join("; ")}`);
}

/** Answers are what the OpenAPI document says, and nothing more. Throws where they are not. */
export function checkedAnswer(op: ApiOperation, { status, body }: RouteAnswer): unknown {
  const { answers }: ApiRoute = apiRoutes[op];
  const answer = answers[status];
  if (answer === undefined) throw new Error(`${op} answers ${status}, which its route does not declare`);
  return answer.schema.parse(body);
}

function notFound(params: Readonly<Record<string, string>>): Refusal {
  const { name, code } = params;
  if (name !== undefined) return noSuchPipeline(name);
  return new Refusal(
    404,
    "API-001",
    `there is no code ${JSON.stringify((code ?? "").slice(0, 40))}`,
    "Codes look like SRC-001.",
  );
}
