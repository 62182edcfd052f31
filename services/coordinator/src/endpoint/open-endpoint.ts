import type { Endpoint } from "@sluice/redis";
import { readCertificateFile } from "@sluice/runtime";
import { endpointOf, type EndpointSpec } from "@sluice/wire";

/**
 * A server of a pipeline, ready to connect; `open` turns its password as it is kept into plain text.
 * Throws `Halt` PIP-014 when a file of certificates can't be used; the message names the file.
 */
export function openEndpoint(spec: EndpointSpec, open: (password: string) => string): Endpoint {
  return endpointOf(spec, open, readCertificateFile);
}
