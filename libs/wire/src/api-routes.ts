import { z } from "zod";
import {
  codeAnswer,
  codeList,
  createAnswer,
  deleteAnswer,
  editAnswer,
  eventPage,
  liveAnswer,
  readyAnswer,
  resumeAnswer,
} from "./api-answers.ts";
import {
  codeParams,
  createRequest,
  cutoverRequest,
  deleteQuery,
  editQuery,
  eventsQuery,
  pipelineParams,
  precheckFileRequest,
  resumeQuery,
  startRequest,
  stopRequest,
} from "./api-requests.ts";
import { pipelineList, pipelineStatus } from "./api.ts";
import { filterPreview, filterPreviewRequest } from "./filter-preview.ts";
import { pipelineSchema } from "./pipeline.ts";
import { precheckReport, precheckRequest } from "./precheck.ts";

/** What requests and answers are checked by, and what it reads. */
export type ApiSchema = z.ZodType;
export type ReadBy<S extends ApiSchema> = z.output<S>;

/** What an answer holds. */
export interface ApiAnswer {
  readonly about: string;
  readonly schema: z.ZodType;
  /** `application/json` unless said otherwise. */
  readonly media?: string;
  /** The same as another medium, which a client asks for with `Accept`. */
  readonly stream?: { readonly media: "text/event-stream"; readonly about: string };
}

/** One route of the HTTP API: what the server registers and checks, and what the OpenAPI document says. */
export interface ApiRoute {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `{name}` stands for a parameter. */
  readonly path: string;
  readonly tag: "pipelines" | "prechecks" | "events" | "reference" | "health";
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** `isOptional`: the request may have no body. */
  readonly body?: { readonly schema: z.ZodType; readonly isOptional: boolean };
  /** By status: those of success. Refusals are the same everywhere: `apiError`. */
  readonly answers: Readonly<Record<number, ApiAnswer>>;
  /** Statuses of refusals, beside those that every route has. */
  readonly refusals: readonly number[];
  /** Answered without a token. */
  readonly isOpen?: boolean;
  /** Answered by every coordinator, also by one that stands by. */
  readonly isAnyones?: boolean;
}

const NOTHING_KNOWN = z.object({}).loose();
const file = pipelineSchema;
const ofPipeline = { tag: "pipelines", params: pipelineParams, refusals: [404, 409] } as const;
const accepted = { 202: { about: "Accepted; the status as it is now.", schema: pipelineStatus } };
const reported = { 200: { about: "What every check found.", schema: precheckReport } };
const events = {
  about: "The newest events, oldest first.",
  schema: eventPage,
  stream: {
    media: "text/event-stream",
    about:
      "`event: state` at the beginning and whenever a state changes, `event: event` for each event, with its id. A client that comes back with `Last-Event-ID` gets what it missed; of all pipelines some of it twice, to be known by `pipeline` and `id`. Every 10 s a comment.",
  },
} as const;

/** Every route of the API, by the id of its operation. Nothing else is served. */
export const apiRoutes = {
  listPipelines: {
    method: "GET",
    path: "/api/v1/pipelines",
    tag: "pipelines",
    summary: "All pipelines with their states",
    answers: { 200: { about: "Sorted by name.", schema: pipelineList } },
    refusals: [],
  },
  createPipeline: {
    method: "POST",
    path: "/api/v1/pipelines",
    tag: "pipelines",
    summary: "Create a pipeline, and start it unless told otherwise; one that exists with the same endpoints is started again",
    body: { schema: z.union([createRequest, file]), isOptional: false },
    answers: {
      200: { about: "It existed.", schema: createAnswer },
      201: { about: "It was created.", schema: createAnswer },
    },
    refusals: [409, 422],
  },
  getPipeline: {
    ...ofPipeline,
    method: "GET",
    path: "/api/v1/pipelines/{name}",
    summary: "State, progress and lag of a pipeline",
    answers: { 200: { about: "As it is now.", schema: pipelineStatus } },
    refusals: [404],
  },
  editPipeline: {
    ...ofPipeline,
    method: "PUT",
    path: "/api/v1/pipelines/{name}",
    summary: "Replace the file of a pipeline: its endpoints, credentials, policies and limits",
    query: editQuery,
    body: { schema: file, isOptional: false },
    answers: { 200: { about: "What was changed, or would be.", schema: editAnswer } },
    refusals: [404, 409, 422],
  },
  patchPipeline: {
    ...ofPipeline,
    method: "PATCH",
    path: "/api/v1/pipelines/{name}",
    summary:
      "Change some fields of a pipeline, as JSON Merge Patch has it (RFC 7396); what is not named stays, secrets too, and destinations are found by their group",
    query: editQuery,
    body: { schema: NOTHING_KNOWN, isOptional: false },
    answers: { 200: { about: "What was changed, or would be.", schema: editAnswer } },
    refusals: [404, 409, 422],
  },
  deletePipeline: {
    ...ofPipeline,
    method: "DELETE",
    path: "/api/v1/pipelines/{name}",
    summary: "Delete a pipeline that does not run, with its stream and records; its destinations keep what they hold",
    query: deleteQuery,
    answers: { 200: { about: "It is gone.", schema: deleteAnswer } },
  },
  startPipeline: {
    ...ofPipeline,
    method: "POST",
    path: "/api/v1/pipelines/{name}/start",
    summary: "Start a pipeline that was created or stopped; prechecks come first where it never ran or was edited",
    body: { schema: startRequest, isOptional: true },
    answers: accepted,
  },
  pausePipeline: {
    ...ofPipeline,
    method: "POST",
    path: "/api/v1/pipelines/{name}/pause",
    summary: "Stop applying; what the source writes is stored meanwhile",
    answers: accepted,
  },
  resumePipeline: {
    ...ofPipeline,
    method: "POST",
    path: "/api/v1/pipelines/{name}/resume",
    summary: "Go on with a pipeline that was paused or failed",
    query: resumeQuery,
    body: { schema: startRequest, isOptional: true },
    answers: {
      200: { about: "What it would do.", schema: resumeAnswer },
      202: { about: "Accepted, and whether it goes on or copies anew.", schema: resumeAnswer },
    },
  },
  stopPipeline: {
    ...ofPipeline,
    method: "POST",
    path: "/api/v1/pipelines/{name}/stop",
    summary: "Stop a pipeline when it has applied what is stored",
    body: { schema: stopRequest, isOptional: true },
    answers: accepted,
  },
  cutoverPipeline: {
    ...ofPipeline,
    method: "POST",
    path: "/api/v1/pipelines/{name}/cutover",
    summary: "End the migration: wait until nothing is written any more, stop, and give expiries their true time",
    body: { schema: cutoverRequest, isOptional: true },
    answers: accepted,
  },
  precheckPipeline: {
    ...ofPipeline,
    tag: "prechecks",
    method: "POST",
    path: "/api/v1/pipelines/{name}/precheck",
    summary: "Check source, destinations and bus of a pipeline again",
    body: { schema: precheckRequest, isOptional: true },
    answers: reported,
  },
  getPrecheck: {
    ...ofPipeline,
    tag: "prechecks",
    method: "GET",
    path: "/api/v1/pipelines/{name}/precheck",
    summary: "What the last prechecks of a pipeline found",
    answers: reported,
    refusals: [404],
  },
  precheckFile: {
    method: "POST",
    path: "/api/v1/prechecks",
    tag: "prechecks",
    summary: "Check a pipeline file without creating the pipeline",
    body: { schema: z.union([precheckFileRequest, file]), isOptional: false },
    answers: reported,
    refusals: [422],
  },
  previewFilters: {
    method: "POST",
    path: "/api/v1/filters/preview",
    tag: "prechecks",
    summary:
      "What the filters of a pipeline file would do to a sample of the source's keys, or to names; nothing is changed anywhere",
    body: { schema: z.union([filterPreviewRequest, file]), isOptional: false },
    answers: { 200: { about: "For each group what it would get, and which patterns say so.", schema: filterPreview } },
    refusals: [422],
  },
  settle: {
    method: "POST",
    path: "/api/v1/settle",
    tag: "pipelines",
    summary: "Give expiries in the destinations of a file their true time, where the records of its pipeline are lost",
    body: { schema: file, isOptional: false },
    answers: accepted,
    refusals: [409, 422],
  },
  pipelineEvents: {
    ...ofPipeline,
    tag: "events",
    method: "GET",
    path: "/api/v1/pipelines/{name}/events",
    summary: "What happened to a pipeline; with `Accept: text/event-stream` also what happens from now on",
    query: eventsQuery,
    answers: { 200: events },
    refusals: [404],
  },
  allEvents: {
    method: "GET",
    path: "/api/v1/events",
    tag: "events",
    summary: "The same of all pipelines",
    query: eventsQuery,
    answers: { 200: events },
    refusals: [],
  },
  getSchema: {
    method: "GET",
    path: "/api/v1/schema",
    tag: "reference",
    summary: "JSON Schema (2020-12) of a pipeline file",
    answers: { 200: { about: "For editors.", schema: NOTHING_KNOWN } },
    refusals: [],
    isAnyones: true,
  },
  listCodes: {
    method: "GET",
    path: "/api/v1/codes",
    tag: "reference",
    summary: "Every code that Sluice prints",
    answers: { 200: { about: "Sorted as the codes are.", schema: codeList } },
    refusals: [],
    isAnyones: true,
  },
  getCode: {
    method: "GET",
    path: "/api/v1/codes/{code}",
    tag: "reference",
    summary: "What a code means and what to do about it",
    params: codeParams,
    answers: { 200: { about: "As `sluice explain` says it.", schema: codeAnswer } },
    refusals: [404],
    isAnyones: true,
  },
  getOpenApi: {
    method: "GET",
    path: "/api/v1/openapi.json",
    tag: "reference",
    summary: "This document",
    answers: { 200: { about: "OpenAPI 3.1.", schema: NOTHING_KNOWN } },
    refusals: [],
    isAnyones: true,
  },
  getMetrics: {
    method: "GET",
    path: "/metrics",
    tag: "health",
    summary: "Figures of all pipelines and of this process, for Prometheus",
    answers: { 200: { about: "Text exposition format 0.0.4.", schema: z.string(), media: "text/plain" } },
    refusals: [],
    isAnyones: true,
  },
  isAlive: {
    method: "GET",
    path: "/livez",
    tag: "health",
    summary: "Whether the process answers",
    answers: { 200: { about: "It does.", schema: liveAnswer } },
    refusals: [],
    isOpen: true,
    isAnyones: true,
  },
  isReady: {
    method: "GET",
    path: "/readyz",
    tag: "health",
    summary: "Whether this coordinator is the active one; 503 while it stands by",
    answers: { 200: { about: "It is.", schema: readyAnswer } },
    refusals: [],
    isOpen: true,
  },
} as const satisfies Record<string, ApiRoute>;

/** Id of an operation, as the OpenAPI document names it. */
export type ApiOperation = keyof typeof apiRoutes;
