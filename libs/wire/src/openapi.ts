import { z } from "zod";
import { apiRoutes, type ApiRoute } from "./api-routes.ts";
import * as answers from "./api-answers.ts";
import * as filters from "./filter-preview.ts";
import * as requests from "./api-requests.ts";
import * as status from "./api.ts";
import { pipelineSchema } from "./pipeline.ts";
import * as prechecks from "./precheck.ts";

type Json = Record<string, unknown>;

const SCHEMAS = "#/components/schemas/";

/** Schemas that stand in the document under a name, by what they speak of: answers as they are sent, requests as they are taken. */
const answered: Readonly<Record<string, z.ZodType>> = {
  ApiError: status.apiError,
  Code: answers.codeAnswer,
  Codes: answers.codeList,
  Created: answers.createAnswer,
  Deleted: answers.deleteAnswer,
  Edited: answers.editAnswer,
  Event: answers.apiEvent,
  Events: answers.eventPage,
  FeedStatus: status.feedStatus,
  FilterPreview: filters.filterPreview,
  GroupStatus: status.groupStatus,
  LaneStatus: status.laneStatus,
  PipelineStatus: status.pipelineStatus,
  Pipelines: status.pipelineList,
  PrecheckReport: prechecks.precheckReport,
  PrecheckResult: prechecks.precheckResult,
  Resumed: answers.resumeAnswer,
  ShardStatus: status.shardStatus,
  StateEvent: answers.stateEvent,
  WaitStatus: status.waitStatus,
};
const taken: Readonly<Record<string, z.ZodType>> = {
  CreateRequest: requests.createRequest,
  CutoverRequest: requests.cutoverRequest,
  FilterPreviewRequest: filters.filterPreviewRequest,
  Pipeline: pipelineSchema,
  PrecheckFileRequest: requests.precheckFileRequest,
  PrecheckRequest: prechecks.precheckRequest,
  StartRequest: requests.startRequest,
  StopRequest: requests.stopRequest,
};

/** JSON Schemas of all that have a name, and of anything made of them. */
function componentsOf(named: Readonly<Record<string, z.ZodType>>, io: "input" | "output"): Record<string, Json> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io,
    unrepresentable: "any",
    uri: (id) => `${SCHEMAS}${id}`,
    // A later release may answer more than this one.
    override: ({ jsonSchema }) => {
      if (io === "output") delete jsonSchema.additionalProperties;
    },
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _draft, $id: _id, ...schema }]) => [id, schema as Json]),
  );
}

function schemaOf(schema: z.ZodType, named: Readonly<Record<string, z.ZodType>>, io: "input" | "output"): Json {
  const known = Object.entries(named).find(([, candidate]) => candidate === schema)?.[0];
  if (known !== undefined) return { $ref: `${SCHEMAS}${known}` };
  if (schema instanceof z.ZodUnion) {
    return { anyOf: schema.options.map((option) => schemaOf(option as z.ZodType, named, io)) };
  }
  const { $schema: _draft, ...found } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return found;
}

function parametersOf({ params, query }: ApiRoute): Json[] {
  const places = [
    { place: "path", object: params },
    { place: "query", object: query },
  ];
  return places.flatMap(({ place, object }) =>
    Object.entries(object?.shape ?? {}).map(([name, field]) => {
      const { description, ...schema } = schemaOf(field as z.ZodType, {}, "input");
      return { name, in: place, required: place === "path", description: description ?? name, schema };
    }),
  );
}

/** What a status of refusal means on every route. */
const refusalTexts: Readonly<Record<number, string>> = {
  400: "The request can't be read.",
  401: "It names no token, or another than the API's.",
  403: "It came from a page of another site.",
  404: "There is no such thing.",
  409: "Not in the state that the pipeline is in.",
  422: "It was read, and what it asks for is refused.",
  429: "Too many clients follow events.",
  500: "Not foreseen; the coordinator's log says more.",
  503: "This coordinator stands by, or NATS is away.",
};

/** Statuses that a route may refuse with. */
function refusalsOf({ body, query, tag, isOpen = false, isAnyones = false, refusals }: ApiRoute): number[] {
  const always = [
    ...(body === undefined && query === undefined ? [] : [400]),
    ...(isOpen ? [] : [401]),
    403,
    ...(tag === "events" ? [429] : []),
    500,
    ...(isAnyones ? [] : [503]),
  ];
  return [...new Set([...always, ...refusals])].toSorted((a, b) => a - b);
}

function operationOf(id: string, route: ApiRoute): Json {
  const { tag, summary, body, answers: successes, isOpen = false } = route;
  const parameters = parametersOf(route);
  const responses: Json = {};
  for (const [code, { about, schema, media = "application/json", stream }] of Object.entries(successes)) {
    const content: Json = { [media]: { schema: schemaOf(schema, answered, "output") } };
    if (stream !== undefined) content[stream.media] = { schema: { type: "string", description: stream.about } };
    responses[code] = { description: about, content };
  }
  for (const code of refusalsOf(route)) {
    responses[String(code)] = {
      description: refusalTexts[code],
      content: { "application/json": { schema: { $ref: `${SCHEMAS}ApiError` } } },
    };
  }
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.isOptional,
            content: { "application/json": { schema: schemaOf(body.schema, taken, "input") } },
          },
        }),
    responses,
    security: isOpen ? [] : [{ token: [] }, {}],
  };
}

/** The OpenAPI 3.1 document of all of `apiRoutes`, made of the schemas that requests and answers are checked by. */
export function openApiDocument(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const [id, route] of Object.entries(apiRoutes) as [string, ApiRoute][]) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = operationOf(id, route);
  }
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: {
      title: "Sluice",
      version,
      description:
        "Keeps Redis deployments in step. Errors are `{ error: { code, message, remedy } }`; `/api/v1/codes/{code}` explains a code.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "the coordinator that serves this document" }],
    tags: ["pipelines", "prechecks", "events", "reference", "health"].map((name) => ({ name })),
    paths,
    components: {
      schemas: { ...componentsOf(answered, "output"), ...componentsOf(taken, "input") },
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description: "`SLUICE_API_TOKEN`; none is needed where it is not set, which is allowed on loopback only.",
        },
      },
    },
  };
}
