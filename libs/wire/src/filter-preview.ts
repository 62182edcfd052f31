import { z } from "zod";
import { pipelineSchema } from "./pipeline.ts";

const count = z.number().int().nonnegative();
/** Most keys that are looked at, and names that are judged, by one request. */
export const MOST_SAMPLED_KEYS = 20_000;
export const MOST_PREVIEWED_NAMES = 1_000;
const MAX_NAME_LENGTH = 4_096;

/** Body of `POST /api/v1/filters/preview`, where it is not the pipeline alone. */
export const filterPreviewRequest = z.strictObject({
  pipeline: pipelineSchema.describe("the pipeline file, as JSON"),
  sample: z
    .number()
    .int()
    .min(1)
    .max(MOST_SAMPLED_KEYS)
    .default(1_000)
    .describe("how many keys of the source are looked at, about"),
  keys: z
    .array(z.string().max(MAX_NAME_LENGTH))
    .min(1)
    .max(MOST_PREVIEWED_NAMES)
    .optional()
    .describe(
      "names to judge, and no sample: the source is not asked. `\\xNN` stands for a byte, as answers show it, `\\\\` for a backslash",
    ),
});

const shownName = z.string().describe("name of a key; what is no printable UTF-8 as `\\xNN`, a long one cut off");

const patternPreview = z.object({
  list: z.enum(["include", "exclude"]),
  pattern: z.string(),
  /** Keys of the sample that it matches, and of these the ones that it decides: the first that matches, `exclude` before `include`. */
  matched: count,
  decided: count,
  /** Some that it decides. */
  names: z.array(shownName),
  hint: z.string().nullable().describe("what may have been meant, where it matches nothing of the sample"),
});
export type PatternPreview = z.output<typeof patternPreview>;

const databasePreview = z.object({
  db: count,
  target: count.nullable().describe("its number in the destination; null where it is not copied"),
  keys: count.describe("that the source holds there, by its own count"),
  sampled: count,
  taken: count.describe("keys of the sample that the group gets"),
  share: z.number().min(0).max(1).nullable().describe("of the sample; null where nothing was looked at"),
  estimatedKeys: count.describe("that the group gets, as far as the sample tells"),
});
export type DatabasePreview = z.output<typeof databasePreview>;

const groupPreview = z.object({
  group: z.string(),
  databases: z.array(databasePreview),
  estimatedKeys: count,
  patterns: z.array(patternPreview),
  /** Keys of the sample that no pattern of `include` matches, where there are such patterns. */
  unmatched: z.object({ count, names: z.array(shownName) }),
  /** Keys of the sample that are Sluice's own, and go nowhere. */
  own: count,
  excludedCommands: z.array(z.string()),
});
export type GroupPreview = z.output<typeof groupPreview>;

const namePreview = z.object({
  name: shownName,
  groups: z.array(
    z.object({
      group: z.string(),
      isTaken: z.boolean(),
      list: z.enum(["include", "exclude"]).nullable().describe("of the pattern that decides; null: none matches"),
      pattern: z.string().nullable(),
    }),
  ),
});
export type NamePreview = z.output<typeof namePreview>;

/** What the filters of a pipeline do to the keys of its source, or to names. */
export const filterPreview = z.object({
  name: z.string().describe("of the pipeline"),
  sample: z
    .object({
      keys: count,
      servers: count,
      isWhole: z.boolean().describe("every key was looked at, so that nothing is an estimate"),
      isCutShort: z.boolean().describe("the time was up before so many were seen as were asked for"),
    })
    .nullable()
    .describe("null where names were asked for"),
  groups: z.array(groupPreview),
  names: z.array(namePreview),
});
export type FilterPreview = z.output<typeof filterPreview>;
