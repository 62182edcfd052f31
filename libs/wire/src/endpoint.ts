import type { EndpointSpec } from "./pipeline.ts";
import { parseRedisUrl } from "./redis-url.ts";

/** Where a server listens and how to prove who we are, as connections want it. */
export interface RedisEndpoint {
  host: string;
  port: number;
  user?: string;
  password?: string;
  /** Credentials of single nodes, by `host:port` in small letters. */
  nodes?: Record<string, { user?: string; password?: string }>;
  tls?: { ca?: string; cert?: string; key?: string; serverName?: string; insecure?: boolean };
  /** Present: `host` and `port` are a Sentinel's, and the server is where these say that the primary of that name is. */
  sentinels?: RedisSentinels;
}

/** Sentinels as connections want them; TLS is that of the endpoint. */
export interface RedisSentinels {
  primary: string;
  servers: readonly { readonly host: string; readonly port: number }[];
  user?: string;
  password?: string;
}

/** What a file of a TLS setting holds: authorities, a client certificate, or its key. */
export type CertificateKind = "ca" | "cert" | "key";

/**
 * The endpoint of a source or destination as it is kept in a record. `open` opens its sealed secret; `read` reads a file of
 * certificates. Throws what they throw.
 */
export function endpointOf(
  spec: EndpointSpec,
  open: (sealed: string) => string,
  read: (path: string, kind: CertificateKind) => string,
): RedisEndpoint {
  const address = parseRedisUrl(spec.url);
  if (typeof address === "string") throw new Error(`${spec.url}: ${address}`);
  const endpoint: RedisEndpoint = { host: address.host, port: address.port };
  Object.assign(endpoint, credentialsOf(spec.url, spec, open));
  const nodes = Object.entries(spec.nodes ?? {}).map(([name, node]) => [nodeName(name), credentialsOf(name, node, open)]);
  if (nodes.length > 0) endpoint.nodes = Object.fromEntries(nodes) as NonNullable<RedisEndpoint["nodes"]>;
  if (address.sentinels !== undefined)
    endpoint.sentinels = { ...address.sentinels, ...credentialsOf(spec.url, spec.sentinel ?? {}, open) };
  if (!address.tls) return endpoint;
  const { ca, cert, key, serverName, insecure } = spec.tls ?? {};
  endpoint.tls = {
    ...(ca === undefined ? {} : { ca: read(ca, "ca") }),
    ...(cert === undefined ? {} : { cert: read(cert, "cert") }),
    ...(key === undefined ? {} : { key: read(key, "key") }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(insecure === undefined ? {} : { insecure }),
  };
  return endpoint;
}

/** As connections name the node, whatever way its IPv6 address is written. */
function nodeName(written: string): string {
  const address = parseRedisUrl(`redis://${written}`);
  if (typeof address === "string") throw new Error(`${written}: ${address}`);
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`.toLowerCase();
}

function credentialsOf(
  url: string,
  { user, password }: Pick<EndpointSpec, "user" | "password">,
  open: (sealed: string) => string,
): { user?: string; password?: string } {
  if (typeof password === "object") throw new Error(`${url}: the password in the record was never read from where it stands`);
  return { ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password: open(password) }) };
}
