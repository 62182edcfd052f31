import { z } from "zod";
import { durationSchema } from "./duration.ts";
import { pipelineSchema } from "./pipeline.ts";
import { precheckRequest } from "./precheck.ts";
import { NAME } from "./subjects.ts";

/** A flag in a query: present without a value, `true` or `1` for yes, `false` or `0` for no. */
const flag = z
  .enum(["", "true", "1", "false", "0"])
  .transform((text) => text !== "false" && text !== "0")
  .optional();

export const pipelineParams = z.strictObject({
  name: z.string().regex(NAME, "expected 1 to 32 of a-z, 0-9 and -").describe("name of the pipeline"),
});
export const codeParams = z.strictObject({
  code: z
    .string()
    .regex(/^[A-Za-z]{3}-\d{3}$/, "expected a code such as SRC-001")
    .describe("a code as errors and states name it, e.g. SRC-001"),
});

/** Body of `POST /api/v1/pipelines`, where it is not the pipeline alone. */
export const createRequest = z.strictObject({
  pipeline: pipelineSchema.describe("the pipeline file, as JSON"),
  start: z.boolean().default(true).describe("false: it is kept and not started"),
  ignore: precheckRequest.shape.ignore,
});

/** Body of `POST /api/v1/prechecks`, where it is not the pipeline alone. */
export const precheckFileRequest = z.strictObject({
  pipeline: pipelineSchema.describe("the pipeline file, as JSON"),
  ...precheckRequest.shape,
});

export const cutoverRequest = z.strictObject({
  force: z
    .boolean()
    .default(false)
    .describe("true: settle what the destinations hold, whatever the source does and whether it can be reached"),
});

export const editQuery = z.strictObject({ dryRun: flag.describe("say what would happen, and change nothing") });

export const deleteQuery = z.strictObject({
  force: flag.describe("delete it although it runs: what is stored and not applied is lost"),
});

export const resumeQuery = z.strictObject({ dryRun: flag.describe("say what would happen, and start nothing") });

export const startRequest = z.strictObject({
  copy: z.boolean().default(false).describe("true: everything is copied anew, whatever could be continued"),
  ignore: precheckRequest.shape.ignore,
});

export const stopRequest = z.strictObject({
  within: durationSchema
    .optional()
    .describe(
      "how long its lanes may take to apply what is stored, `10m`; what is left then is applied after the next start. 15 s without it",
    ),
});

const MOST_EVENTS_ANSWERED = 500;

export const eventsQuery = z.strictObject({
  after: z.string().max(100).optional().describe("id of an event: only what came after it, as `Last-Event-ID` of a stream"),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MOST_EVENTS_ANSWERED)
    .default(MOST_EVENTS_ANSWERED)
    .describe("most events that are answered, the newest; a stream has no end"),
});
