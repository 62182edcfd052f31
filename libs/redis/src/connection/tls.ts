import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { Endpoint } from "./endpoint.ts";

/**
 * What Node needs to open a TLS link to an endpoint, but for where it is; null for one without TLS. The server is verified unless the endpoint says
 * `insecure`, by its chain and its name.
 */
export function tlsOptions({ host, tls }: Pick<Endpoint, "host" | "tls">): ConnectionOptions | null {
  if (tls === undefined) return null;
  // A name in the TLS hello must not be an IP address (RFC 6066, section 3); verification then uses `host`.
  const name = tls.serverName ?? (isIP(host) === 0 ? host : undefined);
  return {
    ...(name === undefined ? {} : { servername: name }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    rejectUnauthorized: tls.insecure !== true,
    minVersion: "TLSv1.2",
  };
}
