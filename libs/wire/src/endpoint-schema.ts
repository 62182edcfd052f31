import { z } from "zod";
import { parseRedisUrl } from "./redis-url.ts";

/** Nodes of one deployment that may have credentials of their own: a Redis Cluster has at most 1000 (cluster specification). */
const MAX_NODES = 1_000;

/** A check of several fields runs even where some of them are wrong, so that a file is refused with all that is wrong at once. */
export const EVEN_IF_FAULTY = {
  when: ({ value }: { value: unknown }): boolean => typeof value === "object" && value !== null,
} as const;

/** A secret as an operator writes it: plain, or where it stands. What is sent to the API has it in plain text. */
export const secretSchema = z.union(
  [z.string(), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
  { error: "expected text, { env: NAME } or { file: PATH }" },
);
export type Secret = z.output<typeof secretSchema>;

const userSchema = z.string().min(1);

const tlsSchema = z
  .strictObject({
    ca: z
      .string()
      .min(1)
      .optional()
      .describe("file with the certificates to trust, PEM; without it those that public authorities signed are trusted"),
    cert: z.string().min(1).optional().describe("file with the client certificate, PEM, for servers that ask for one"),
    key: z.string().min(1).optional().describe("file with the client certificate's key, PEM, without a passphrase"),
    serverName: z
      .string()
      .min(1)
      .optional()
      .describe("name that the server's certificate must bear, where it is not the host in `url`; the same for every node"),
    insecure: z
      .boolean()
      .optional()
      .describe("true: take any certificate of the server. Whoever is in between can then read and change everything"),
  })
  .superRefine(({ cert, key }, context) => {
    if ((cert === undefined) === (key === undefined)) return;
    const message = `expected \`${cert === undefined ? "cert" : "key"}\` beside \`${cert === undefined ? "key" : "cert"}\``;
    context.addIssue({ code: "custom", message, input: cert ?? key });
  }, EVEN_IF_FAULTY)
  .describe("TLS of this endpoint; used with rediss:// and sentinels://");

const urlSchema = z.string().superRefine((text, context) => {
  const found = parseRedisUrl(text);
  if (typeof found === "string") context.addIssue({ code: "custom", message: found, input: text });
});

const nodeAddress = z.string().superRefine((text, context) => {
  const found = /:\d+$/.test(text) ? parseRedisUrl(`redis://${text}`) : "expected host:port";
  if (typeof found === "string") context.addIssue({ code: "custom", message: "expected host:port of a node", input: text });
});

const nodesSchema = z
  .record(
    nodeAddress,
    z.strictObject({
      user: userSchema.optional().describe("ACL user on this node"),
      password: secretSchema.optional().describe("as the password of the endpoint"),
    }),
  )
  .refine((nodes) => Object.keys(nodes).length <= MAX_NODES, `expected at most ${MAX_NODES} nodes`)
  .describe(
    "credentials of single nodes, by the `host:port` under which the deployment announces them; all others take `user` and `password` of the endpoint",
  );

export const endpointShape = {
  url: urlSchema.describe(
    "redis://host:port, or rediss://host:port for TLS; of a cluster any one node, the others are found from it. Of a source also sentinel://host:port[,host:port…]/name, or sentinels:// for TLS",
  ),
  user: userSchema.optional().describe("ACL user; without it the password alone is sent, which is that of the user `default`"),
  password: secretSchema
    .optional()
    .describe(
      'plain text, { env: NAME } or { file: PATH } to read it from, where the command runs; "user:password" where `user` is absent, split at the first colon',
    ),
  nodes: nodesSchema.optional(),
  tls: tlsSchema.optional(),
};

export const sentinelSchema = z
  .strictObject({
    user: userSchema.optional().describe("ACL user of the Sentinels"),
    password: secretSchema.optional().describe("as the password of the source; it is the same on every Sentinel"),
  })
  .describe("how to prove to the Sentinels who we are, where they ask for it");

/** Fields of an endpoint as far as they could be read. */
interface ReadEndpoint {
  readonly url?: string;
  readonly tls?: object | undefined;
  readonly sentinel?: object | undefined;
}

function addressOf({ url }: ReadEndpoint): ReturnType<typeof parseRedisUrl> {
  return typeof url === "string" ? parseRedisUrl(url) : "";
}

/** TLS settings beside an address that is not asked by TLS would be ignored, and the link be plain without anyone noticing. */
export function tlsIsUsed(endpoint: ReadEndpoint, context: z.core.$RefinementCtx): void {
  const address = addressOf(endpoint);
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
export function sentinelIsUsed(source: ReadEndpoint, context: z.core.$RefinementCtx): void {
  const address = addressOf(source);
  if (source.sentinel === undefined || typeof address === "string" || address.sentinels !== undefined) return;
  context.addIssue({
    code: "custom",
    path: ["sentinel"],
    message: "expected sentinel:// in `url` where `sentinel` is set",
    input: source.sentinel,
  });
}

/** A writer finds its server at one address: nothing tells it of another. */
export function isNoSentinel(destination: ReadEndpoint, context: z.core.$RefinementCtx): void {
  const address = addressOf(destination);
  if (typeof address === "string" || address.sentinels === undefined) return;
  context.addIssue({
    code: "custom",
    path: ["url"],
    message: "expected redis:// or rediss://: only a source can be found through Sentinels",
    input: destination.url,
  });
}
