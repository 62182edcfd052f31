import { z } from "zod";
import { durationSchema, parseDuration } from "./duration.ts";
import { NAME } from "./subjects.ts";

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
  url: url.describe("redis://host:port, or rediss://host:port for TLS"),
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
  context.addIssue({
    code: "custom",
    path: ["tls"],
    message: "expected rediss:// in `url` where `tls` is set",
    input: endpoint.tls,
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
const destinationSchema = destinationShape.superRefine(tlsIsUsed);

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
      })
      .superRefine(tlsIsUsed),
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
export type EndpointSpec = Omit<Pipeline["source"], "read">;
export type DestinationSpec = Pipeline["destinations"][number];

/** Where a server is, as its URL says it. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** Reads `redis://host:port` or `rediss://host:port`; a string says what is wrong with it. */
export function parseRedisUrl(text: string): RedisAddress | string {
  if (!URL.canParse(text)) return "expected redis://host:port or rediss://host:port";
  const parsed = new URL(text);
  if (parsed.protocol !== "redis:" && parsed.protocol !== "rediss:") return "expected the scheme redis or rediss";
  if (parsed.username !== "" || parsed.password !== "") return "expected no credentials in the URL: use `user` and `password`";
  if (parsed.hostname === "") return "expected a host";
  if (parsed.port === "0") return "expected a port from 1 to 65535";
  if (parsed.search !== "" || parsed.hash !== "") return "expected nothing behind the port: options have their own fields";
  if (parsed.pathname !== "" && parsed.pathname !== "/") return "expected nothing behind the port: all databases are copied";
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  return { host, port: parsed.port === "" ? 6379 : Number(parsed.port), tls: parsed.protocol === "rediss:" };
}

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
