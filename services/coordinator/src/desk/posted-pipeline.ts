import {
  credentialsIn,
  fieldName,
  pipelineSchema,
  readPipeline,
  type Pipeline,
  type WrittenCredentials,
  type WrittenSpec,
} from "@sluice/wire";
import { Refusal } from "./refusal.ts";

/** A pipeline as it was posted: read, and as it was written; passwords in plain text, users split off. */
export interface PostedPipeline {
  readonly pipeline: Pipeline;
  readonly written: WrittenSpec["pipeline"];
}

/**
 * Reads the body of a request. Throws `Refusal` PIP-001 that names every fault with its place, without quoting a value: one of
 * them may be a secret.
 */
export function readPostedPipeline(body: unknown): PostedPipeline {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refusal(400, "PIP-001", "expected a pipeline as a JSON object", "Post the pipeline file as JSON.");
  }
  const read = readPipeline(body);
  if ("issues" in read) {
    const faults = read.issues.map(({ path, message }) => `${fieldName(path) || "pipeline"}: ${message}`);
    throw new Refusal(422, "PIP-001", faults.join("; "), "Mend each fault that the message names.");
  }
  // What passed the schema is what the schema takes in.
  const written = structuredClone(body) as WrittenSpec["pipeline"];
  for (const { where, credentials } of credentialsIn(written)) normalizeCredentials(where, credentials);
  return { written, pipeline: pipelineSchema.parse(written) };
}

/** `user:password` in one string is split at the first colon where `user` is absent. */
function normalizeCredentials(where: string, endpoint: WrittenCredentials): void {
  const { password } = endpoint;
  if (password === undefined) return;
  if (typeof password !== "string") {
    throw new Refusal(
      422,
      "PIP-001",
      `${where}.password: expected plain text; { env } and { file } say where the secret stands on the machine of who posts it`,
      "Start the pipeline with `sluice`, which reads the secret there, or post it in plain text.",
    );
  }
  const colon = password.indexOf(":");
  if (endpoint.user !== undefined || colon <= 0) return;
  endpoint.user = password.slice(0, colon);
  endpoint.password = password.slice(colon + 1);
}
