import { z } from "zod";
import { commandsSchema } from "./command-filter.ts";
import { durationSchema } from "./duration.ts";
import { EVEN_IF_FAULTY, endpointShape, isNoSentinel, sentinelIsUsed, sentinelSchema, tlsIsUsed } from "./endpoint-schema.ts";
import { refuseUnbuilt } from "./not-yet.ts";
import { sizeSchema } from "./size.ts";
import { startWindowSchema } from "./start-window.ts";
import { NAME } from "./subjects.ts";

/** The stream takes a batch of every lane at least, and one of several MiB where the bus is set up so. */
const LEAST_STREAM_BYTES = 16 * 2 ** 20;
/** A copy that is slower makes no progress that anybody would wait for. */
const LEAST_COPY_BYTES = 64 * 2 ** 10;
/** However slow the source is, `limits.sourceLatency` lets a copy be read at this pace, or at `copyBytesPerSecond` where that is less. */
export const SLOWEST_COPY_BYTES_PER_SECOND = 1_000_000;
/** Redis itself takes any number that fits an int; who has more databases than this has another problem. */
const LAST_DATABASE = 65_535;
const MAX_DATABASES = 1_024;
/** Every key is held against every pattern. */
const MAX_PATTERNS = 100;
const MAX_PATTERN_LENGTH = 512;
const MAX_DESTINATIONS = 16;
/** What `rename-command` takes, less what nobody would write there; no blanks, since it is sent as it stands. */
const RENAMED = /^[!-~]{1,128}$/;

const name = z.string().regex(NAME, "expected 1 to 32 of a-z, 0-9 and -");

const databaseSchema = z.number().int().min(0).max(LAST_DATABASE);

const patternsSchema = z.array(z.string().min(1).max(MAX_PATTERN_LENGTH)).max(MAX_PATTERNS).default([]);

const keysSchema = z
  .strictObject({
    include: patternsSchema.describe("glob patterns of the keys that the group gets; none: all"),
    exclude: patternsSchema.describe("glob patterns of the keys that it does not get, whatever `include` says"),
  })
  .prefault({})
  .describe(
    "which keys go to this destination, by glob patterns with `*`, `?` and `[a-z]` as KEYS takes them. Keys that one command uses together belong on the same side: what can't be taken apart halts (PIP-015)",
  );

const renamedSchema = z.string().regex(RENAMED, "expected the name of a command: 1 to 128 printable characters, no blanks");

const sourceCommandsSchema = z
  .strictObject({
    psync: renamedSchema.optional().describe("what the source calls PSYNC"),
    replconf: renamedSchema.optional().describe("what the source calls REPLCONF"),
  })
  .describe("names that the source has given to the commands of replication with `rename-command`; in a cluster on every node");

const destinationShape = z.strictObject({
  group: name.default("main").describe("name of the writer group"),
  ...endpointShape,
  existing: z
    .enum(["refuse", "overwrite", "replace", "keep"])
    .default("refuse")
    .describe(
      "keys that the destination holds already. refuse: it must be empty; overwrite: the same keys are overwritten; replace: it ends as the source's equal, all others are deleted; keep: they stay as they are and are never written to, whatever the source has under these names; what others write there later is not kept",
    ),
  databases: z
    .record(z.string().regex(/^(0|[1-9]\d{0,4})$/, `expected the number of a database, 0 to ${LAST_DATABASE}`), databaseSchema)
    .optional()
    .describe(
      "databases that have another number in the destination, `{ from: to }`; all others keep theirs. Several may become one: keys of one name are one key there, what is written last counts, and what can not be told apart then halts (PIP-015): FLUSHDB and SWAPDB of one of them, MOVE, COPY without REPLACE, SETNX, SET with NX, HSETNX, MSETNX, RENAMENX",
    ),
  keys: keysSchema,
  unsupported: z
    .enum(["halt", "skip"])
    .default("halt")
    .describe(
      "what becomes of what the destination's version or fork can't hold in any form, such as streams before 5.0, expiries of hash fields before 7.4, and values of a module that it lacks. halt: the lane stops and names the key (DST-006); skip: just that is left out, counted, and the first keys are named in the log",
    ),
  commands: commandsSchema,
});
const destinationSchema = destinationShape.superRefine(tlsIsUsed, EVEN_IF_FAULTY).superRefine(isNoSentinel, EVEN_IF_FAULTY);

const limitsSchema = z
  .strictObject({
    streamBytes: sizeSchema
      .refine((sizeBytes) => sizeBytes >= LEAST_STREAM_BYTES, "expected at least 16MiB")
      .optional()
      .describe("most that the pipeline's stream may hold on the bus; without it the bus's own limits hold"),
    concurrentFullSyncs: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe("full copies that one host of the source sends at a time: each costs it a fork, and memory for what changes"),
    copyBytesPerSecond: sizeSchema
      .refine((sizeBytes) => sizeBytes >= LEAST_COPY_BYTES, "expected at least 64KiB")
      .optional()
      .describe(
        "most that is read per second of a full copy, of which `concurrentFullSyncs` may run at a time for each host of the source; without it as fast as it sends. What clients write meanwhile waits in the stream; with a source before 6.2, or a replica, in its output buffer",
      ),
    sourceLatency: durationSchema
      .refine((durationMs) => durationMs >= 1, "expected at least 1ms")
      .optional()
      .describe(
        "a full copy slows down while the source answers slower than this, and than twice what it took before the copy",
      ),
  })
  .prefault({})
  .describe("what the pipeline may cost the source and the bus");

const WINDOW = "720m";
const window = durationSchema.prefault(WINDOW);

/** How long to try, in milliseconds, before the pipeline fails. */
const retryWindowSchema = z
  .union(
    [
      durationSchema,
      z.strictObject({
        source: window.describe("of each source shard"),
        destination: window.describe("of each destination shard"),
        bus: window.describe("of NATS"),
      }),
    ],
    { error: "expected a duration such as 30s, 720m or 12h, or one each for `source`, `destination` and `bus`" },
  )
  .transform((read) => (typeof read === "number" ? { source: read, destination: read, bus: read } : read))
  .prefault(WINDOW)
  .describe(
    "how long to try to reach an endpoint again before the pipeline fails: one duration, or one each for `source`, `destination` and `bus`. A failed pipeline can be resumed",
  );

/** A pipeline file. Every field is described here once; types and the refusals of a bad file come from it. */
export const pipelineSchema = z
  .strictObject({
    name: name.describe("name of the pipeline; stands in its stream, its records and its marks"),
    mode: z
      .enum(["full+changes", "full", "changes"])
      .default("full+changes")
      .describe(
        "full+changes: a full copy, then every change; full: a full copy, and then it is done; changes: attach to the stream of changes without a copy",
      ),
    source: z
      .strictObject({
        ...endpointShape,
        read: z
          .enum(["primary", "replica"])
          .default("primary")
          .describe("whom ingest links to: each shard's primary, or a healthy replica of it where there is one"),
        databases: z
          .array(databaseSchema)
          .min(1)
          .max(MAX_DATABASES)
          .optional()
          .describe("numbers of the databases to copy; without it all that hold keys"),
        unknown: z
          .enum(["halt", "skip"])
          .default("halt")
          .describe(
            "what becomes of a value in the full copy whose type is of a later version than this release knows, and of what a module attached to a key. halt: the copy stops and names the key; skip: it is left out and counted. Where such a value ends must be known: what has no known end halts in any case",
          ),
        publish: z
          .boolean()
          .default(false)
          .describe(
            "whether messages to subscribers (PUBLISH, SPUBLISH) are sent on to the destinations, each in its place among the changes",
          ),
        commands: sourceCommandsSchema.optional(),
        sentinel: sentinelSchema.optional(),
      })
      .superRefine(tlsIsUsed, EVEN_IF_FAULTY)
      .superRefine(sentinelIsUsed, EVEN_IF_FAULTY)
      .describe("where from: one server, a cluster, or what Sentinels lead to"),
    destinations: z
      .array(destinationSchema)
      .min(1)
      .max(MAX_DESTINATIONS)
      .describe("where to: one writer group each, all fed from one replication link"),
    retryWindow: retryWindowSchema,
    lanes: z
      .number()
      .int()
      .min(1)
      .max(1024)
      .default(16)
      .describe("lanes that the slot space is cut into where the source or every destination is a cluster"),
    keepApplied: durationSchema.prefault("10m").describe("how long applied changes stay in the stream"),
    onDivergence: z
      .enum(["halt", "repair", "skip"])
      .default("halt")
      .describe(
        "what a lane does when a command that ran at the source fails in a destination, whose key is another there. halt: it stops; repair: the key is taken from the source again; skip: the error is counted and passed over",
      ),
    onBacklogLost: z
      .enum(["resync", "halt"])
      .default("resync")
      .describe(
        "what a shard does when its source no longer holds the changes that are missing. resync: it is copied anew; halt: it stops, and an operator decides",
      ),
    startWindow: startWindowSchema
      .optional()
      .describe("a full copy starts only in this span of the day, and may go on beyond it; UTC where no time zone is named"),
    limits: limitsSchema,
  })
  .superRefine(groupsDiffer, EVEN_IF_FAULTY)
  .superRefine(databasesAreCopied, EVEN_IF_FAULTY)
  .superRefine(changesOverwrite, EVEN_IF_FAULTY)
  .superRefine((pipeline, context) => refuseUnbuilt(pipeline, context), EVEN_IF_FAULTY);

/** What is left of a pipeline that may have faults. */
interface ReadPipeline {
  readonly mode?: unknown;
  readonly source?: { readonly databases?: unknown };
  readonly destinations?: unknown;
}

function destinationsIn({ destinations }: ReadPipeline): { group?: unknown; databases?: unknown; existing?: unknown }[] {
  const list: unknown[] = Array.isArray(destinations) ? destinations : [];
  return list.map((destination) => (typeof destination === "object" && destination !== null ? destination : {}));
}

function groupsDiffer(pipeline: ReadPipeline, context: z.core.$RefinementCtx): void {
  const seen = new Set<unknown>();
  for (const [index, { group }] of destinationsIn(pipeline).entries()) {
    if (group !== undefined && seen.has(group)) {
      const path = ["destinations", index, "group"];
      context.addIssue({
        code: "custom",
        path,
        message: 'expected a name that no other group has; "main" is that of a destination without one',
        input: group,
      });
    }
    seen.add(group);
  }
}

/** A database that is not copied has no number in a destination: whoever gives it one expects it to be copied. */
function databasesAreCopied(pipeline: ReadPipeline, context: z.core.$RefinementCtx): void {
  const copied = pipeline.source?.databases;
  if (!Array.isArray(copied)) return;
  for (const [index, { databases }] of destinationsIn(pipeline).entries()) {
    if (typeof databases !== "object" || databases === null) continue;
    for (const from of Object.keys(databases).filter((from) => !copied.includes(Number(from)))) {
      const path = ["destinations", index, "databases", from];
      const message = `database ${from} is not among \`source.databases\`: expected one of ${copied.join(", ")}`;
      context.addIssue({ code: "custom", path, message, input: databases });
    }
  }
}

/** Without a copy there is nothing that a destination could be emptied for, or made equal to: what it holds is what changes apply to. */
function changesOverwrite(pipeline: ReadPipeline, context: z.core.$RefinementCtx): void {
  if (pipeline.mode !== "changes") return;
  for (const [index, { existing }] of destinationsIn(pipeline).entries()) {
    if (existing !== undefined && existing !== "refuse" && existing !== "replace" && existing !== "keep") continue;
    const path = ["destinations", index, "existing"];
    const message =
      "expected overwrite with `mode: changes`, which copies nothing: the changes go to what the destination holds already";
    context.addIssue({ code: "custom", path, message, input: existing });
  }
}

/** A pipeline as it is kept and run: defaults filled in, durations in milliseconds. */
export type Pipeline = z.output<typeof pipelineSchema>;
/** What a source and a destination have in common; `sentinel` has only a source. */
export type EndpointSpec = Omit<Pipeline["source"], "read" | "databases" | "commands" | "publish" | "unknown">;
export type DestinationSpec = Pipeline["destinations"][number];

/**
 * Milliseconds added to every absolute expiry that a group writes, until cut-over (H19): a destination must not expire a key
 * which the source has renewed meanwhile, however late the renewal arrives. Always even, see `expiryWithGrace`.
 */
export function expiryGraceMs(pipeline: Pick<Pipeline, "retryWindow" | "keepApplied">): number {
  const { source, destination, bus } = pipeline.retryWindow;
  return 2 * Math.ceil((Math.max(source, destination, bus) + pipeline.keepApplied) / 2);
}

/** An expiry that carries the grace is odd in milliseconds, a true one even: so settling can be repeated and needs no source. */
export function expiryWithGrace(expireAtMs: number, graceMs: number): number {
  return expireAtMs - (((expireAtMs % 2) + 2) % 2) + graceMs + 1;
}

/** What moves an expiry back by the grace that it carries, see `settledExpiry`; even less than an odd number makes an even one. */
export function settlingShiftMs(graceMs: number): number {
  return graceMs + 1;
}

/**
 * The end of JavaScript's dates (ECMA-262, "Time Values and Time Range"). An expiry beyond it is never given a grace: such a key
 * does not expire.
 */
const MAX_DATE_MS = 8_640_000_000_000_000;

/** Expiries above this carry no grace, whether odd or even. */
export function latestWithGraceMs(graceMs: number): number {
  return MAX_DATE_MS + settlingShiftMs(graceMs);
}

/**
 * The true expiry of a key in a destination, by its expiry there: the source's own, or 1 ms less where that is odd. Null when
 * there is no grace in it (any more), so that settling twice is settling once.
 */
export function settledExpiry(expireAtMs: number, graceMs: number): number | null {
  const isCarrying = expireAtMs % 2 !== 0 && expireAtMs <= latestWithGraceMs(graceMs);
  return isCarrying ? expireAtMs - settlingShiftMs(graceMs) : null;
}
