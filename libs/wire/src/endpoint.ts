import { parseRedisUrl, type EndpointSpec } from "./pipeline.ts";

/** Where a server listens and how to prove who we are, as connections want it. */
export interface RedisEndpoint {
  host: string;
  port: number;
  user?: string;
  password?: string;
  tls?: { ca?: string; cert?: string; key?: string; serverName?: string; insecure?: boolean };
}

/**
 * The endpoint of a source or destination as it is kept in a record. `open` opens its sealed secret; `read` reads a file of
 * certificates. Throws what they throw.
 */
export function endpointOf(
  spec: EndpointSpec,
  open: (sealed: string) => string,
  read: (path: string) => string,
): RedisEndpoint {
  const address = parseRedisUrl(spec.url);
  if (typeof address === "string") throw new Error(`${spec.url}: ${address}`);
  const endpoint: RedisEndpoint = { host: address.host, port: address.port };
  if (spec.user !== undefined) endpoint.user = spec.user;
  if (typeof spec.password === "object")
    throw new Error(`${spec.url}: the password in the record was never read from where it stands`);
  if (spec.password !== undefined) endpoint.password = open(spec.password);
  if (!address.tls) return endpoint;
  const { ca, cert, key, serverName, insecure } = spec.tls ?? {};
  endpoint.tls = {
    ...(ca === undefined ? {} : { ca: read(ca) }),
    ...(cert === undefined ? {} : { cert: read(cert) }),
    ...(key === undefined ? {} : { key: read(key) }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(insecure === undefined ? {} : { insecure }),
  };
  return endpoint;
}
