import { z } from "zod";
import { durationSchema, parseDuration } from "./duration.ts";
import { parseRedisUrl } from "./redis-url.ts";
import { sizeSchema } from "./size.ts";
import { NAME } from "./subjects.ts";

/** The stream takes a batch of every lane at least, and one of several MiB where the bus is set up so. */
const LEAST_STREAM_BYTES = 16 * 2 ** 20;

const name = z.string().regex(NAME, "expected 1 to 32 of a-z, 0-9 and -");

/** A secret as an operator writes it: plain, or where it stands. `resolveSecrets` turns every form into plain text. */
export const secretSchema = z.union(
  [z.string(), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
  { error: "expected text, { env: NAME } or { file: PATH }" },
);
export type Secret = z.output<typeof secretSchema>;

const tlsSchema = z
  .strictObject({
    ca: z.string().optional().describe("file with the certificates to trust, PEM"),
    cert: z.string().optional().describe("file with the client certificate, PEM"),
    key: z.string().optional().describe("file with the client key, PEM"),
    serverName: z.string().optional().describe("name that the server's certificate must carry, where it is not the host"),
    insecure: z.boolean().optional().describe("true: do not verify the server's certificate"),
  })
  .describe("TLS of this endpoint; used with rediss://");

const url = z.string().superRefine((text, context) => {
  const found = parseRedisUrl(text);
  if (typeof found === "string") context.addIssue({ code: "custom", message: found, input: text });
});

const endpointShape = {
  url: url.describe(
    "redis://host:port, or rediss://host:port for TLS; of a source also sentinel://host:port[,host:port…]/name",
  ),
  user: z.string().min(1).optional().describe("ACL user"),
  password: secretSchema
    .optional()
    .describe('plain text, { env: NAME } or { file: PATH }; "user:password" where `user` is absent'),
  tls: tlsSchema.optional(),
};

/** TLS settings beside an address that is not asked by TLS would be ignored, and the link be plain without anyone noticing. */
function tlsIsUsed(endpoint: { url: string; tls?: object | undefined }, context: z.core.$RefinementCtx): void {
  const address = parseRedisUrl(endpoint.url);
  if (endpoint.tls === undefined || typeof address === "string" || address.tls) return;
  const scheme = address.sentinels === undefined ? "rediss" : "sentinels";
  context.addIssue({
    code: "custom",
    path: ["tls"],
    message: `expected ${scheme}:// in \`url\` where \`tls\` is set`,
    input: endpoint.tls,
  });
}

/** Credentials for Sentinels are of no use where there are none. */
function sentinelIsUsed(source: { url: string; sentinel?: object | undefined }, context: z.core.$RefinementCtx): void {
  const address = parseRedisUrl(source.url);
  if (source.sentinel === undefined || typeof address === "string" || address.sentinels !== undefined) return;
  context.addIssue({
    code: "custom",
    path: ["sentinel"],
    message: "expected sentinel:// in `url` where `sentinel` is set",
    input: source.sentinel,
  });
}

/** A writer finds its server at one address: nothing tells it of another. */
function isNoSentinel(destination: { url: string }, context: z.core.$RefinementCtx): void {
  const address = parseRedisUrl(destination.url);
  if (typeof address === "string" || address.sentinels === undefined) return;
  context.addIssue({
    code: "custom",
    path: ["url"],
    message: "expected redis:// or rediss://: only a source can be found through Sentinels",
    input: destination.url,
  });
}

const destinationShape = z.strictObject({
  group: name.default("main").describe("name of the writer group"),
  ...endpointShape,
  existing: z
    .enum(["refuse", "overwrite", "replace"])
    .default("refuse")
    .describe(
      "keys that the destination holds already. refuse: it must be empty; overwrite: the same keys are overwritten; replace: all others are deleted",
    ),
});
const destinationSchema = destinationShape.superRefine(tlsIsUsed).superRefine(isNoSentinel);

const sentinelSchema = z
  .strictObject({
    user: z.string().min(1).optional().describe("ACL user of the Sentinels"),
    password: secretSchema.optional().describe("as the password of the source; it is the same on every Sentinel"),
  })
  .describe("how to prove to the Sentinels who we are, where they ask for it");

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
  })
  .prefault({});

/** A pipeline file. Every field is described here once; types and the refusals of a bad file come from it. */
export const pipelineSchema = z
  .strictObject({
    name: name.describe("name of the pipeline; stands in its stream, its records and its marks"),
    mode: z.enum(["full+changes"]).default("full+changes"),
    source: z
      .strictObject({
        ...endpointShape,
        read: z
          .enum(["primary", "replica"])
          .default("primary")
          .describe("whom ingest links to: each shard's primary, or a healthy replica of it where there is one"),
        sentinel: sentinelSchema.optional(),
      })
      .superRefine(tlsIsUsed)
      .superRefine(sentinelIsUsed),
    destinations: z.array(destinationSchema).min(1).max(16).describe("one writer group each"),
    retryWindow: durationSchema.default(parseDuration("720m") as number).describe("how long to try to reach an endpoint"),
    lanes: z
      .number()
      .int()
      .min(1)
      .max(1024)
      .default(16)
      .describe("lanes that the slot space is cut into where the source or every destination is a cluster"),
    keepApplied: durationSchema.default(parseDuration("10m") as number).describe("how long applied changes stay in the stream"),
    onDivergence: z
      .enum(["halt", "repair", "skip"])
      .default("halt")
      .describe(
        "what a lane does when a command that ran at the source fails in a destination, whose key is another there. halt: it stops; repair: the key is taken from the source again; skip: the error is counted and passed over",
      ),
    limits: limitsSchema,
  })
  .superRefine((pipeline, context) => {
    const seen = new Set<string>();
    for (const [index, { group }] of pipeline.destinations.entries()) {
      if (seen.has(group)) {
        context.addIssue({
          code: "custom",
          path: ["destinations", index, "group"],
          message: "expected a name that no other group has",
          input: group,
        });
      }
      seen.add(group);
    }
  });

/** A pipeline as it is kept and run: defaults filled in, durations in milliseconds. */
export type Pipeline = z.output<typeof pipelineSchema>;
/** What a source and a destination have in common; `sentinel` has only a source. */
export type EndpointSpec = Omit<Pipeline["source"], "read">;
export type DestinationSpec = Pipeline["destinations"][number];

/**
 * Milliseconds added to every absolute expiry that a group writes, until cut-over (H19): a destination must not expire a key
 * which the source has renewed meanwhile, however late the renewal arrives. Always even, see `expiryWithGrace`.
 */
export function expiryGraceMs(pipeline: Pick<Pipeline, "retryWindow" | "keepApplied">): number {
  return 2 * Math.ceil((pipeline.retryWindow + pipeline.keepApplied) / 2);
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
