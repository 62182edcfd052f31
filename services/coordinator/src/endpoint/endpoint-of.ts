import { readFileSync } from "node:fs";
import type { Endpoint, EndpointTls } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { parseRedisUrl, type EndpointSpec } from "@sluice/wire";

/**
 * Where a server of a pipeline is and how to prove who we are, ready to connect. `password`: in plain text.
 * Throws `Halt` SLU-002 when a certificate can't be read; the message names the field and the file.
 */
export function endpointOf(spec: EndpointSpec, password: string | undefined): Endpoint {
  const address = parseRedisUrl(spec.url);
  if (typeof address === "string") throw new Halt("SLU-002", `url: ${address}`);
  return {
    host: address.host,
    port: address.port,
    ...(address.tls ? { tls: tlsOf(spec.tls ?? {}) } : {}),
    ...(spec.user === undefined ? {} : { user: spec.user }),
    ...(password === undefined ? {} : { password }),
  };
}

function tlsOf(spec: NonNullable<EndpointSpec["tls"]>): EndpointTls {
  return {
    ...(spec.ca === undefined ? {} : { ca: pem("tls.ca", spec.ca) }),
    ...(spec.cert === undefined ? {} : { cert: pem("tls.cert", spec.cert) }),
    ...(spec.key === undefined ? {} : { key: pem("tls.key", spec.key) }),
    ...(spec.serverName === undefined ? {} : { serverName: spec.serverName }),
    ...(spec.insecure === undefined ? {} : { insecure: spec.insecure }),
  };
}

function pem(field: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new Halt("SLU-002", `${field}: ${file} can't be read where the coordinator runs`, { cause });
  }
}
