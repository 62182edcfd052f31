import {
  createRequest,
  filterPreviewRequest,
  precheckFileRequest,
  precheckRequest,
  startRequest,
  type PrecheckRequest,
} from "@sluice/wire";
import type { CreateOptions } from "../desk/create-pipeline.ts";
import type { PreviewRequest } from "../desk/preview-filters.ts";
import { read } from "./route-call.ts";

/** A pipeline has no field `pipeline`: who sends one has wrapped it, to say more. */
function isWrapped(body: unknown): body is { readonly pipeline: unknown } {
  return typeof body === "object" && body !== null && "pipeline" in body;
}

/** `{ pipeline, start?, ignore? }`, or the pipeline alone, which is started. The pipeline itself is for the desk to read. */
export function readCreate(body: unknown): { readonly pipeline: unknown; readonly options: CreateOptions } {
  if (!isWrapped(body)) return { pipeline: body, options: { start: true } };
  const { pipeline, ...rest } = body;
  const { start, ignore } = read(createRequest.omit({ pipeline: true }), rest, "the body beside `pipeline`");
  return { pipeline, options: { start, ...(ignore === undefined ? {} : { ignore }) } };
}

/** `{ pipeline, only?, ignore? }`, or the pipeline alone. */
export function readPrecheckFile(body: unknown): { readonly pipeline: unknown; readonly request: PrecheckRequest } {
  if (!isWrapped(body)) return { pipeline: body, request: read(precheckRequest, {}, "the body") };
  const { pipeline, ...rest } = body;
  return { pipeline, request: read(precheckFileRequest.omit({ pipeline: true }), rest, "the body beside `pipeline`") };
}

/** `{ pipeline, sample?, keys? }`, or the pipeline alone. */
export function readFilterPreview(body: unknown): { readonly pipeline: unknown; readonly request: PreviewRequest } {
  const { pipeline, ...rest } = isWrapped(body) ? body : { pipeline: body };
  const { sample, keys } = read(filterPreviewRequest.omit({ pipeline: true }), rest, "the body beside `pipeline`");
  return { pipeline, request: { sample, ...(keys === undefined ? {} : { keys }) } };
}

export function readStart(body: unknown): { readonly copy: boolean } & Pick<CreateOptions, "ignore"> {
  const { copy, ignore } = read(startRequest, body ?? {}, "the body");
  return { copy, ...(ignore === undefined ? {} : { ignore }) };
}
