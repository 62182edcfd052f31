import { readFileSync } from "node:fs";
import type { Endpoint } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { endpointOf, type EndpointSpec } from "@sluice/wire";

/**
 * A server of a pipeline, ready to connect; `open` turns its password as it is kept into plain text.
 * Throws `Halt` SLU-002 when a certificate can't be read; the message names the file.
 */
export function openEndpoint(spec: EndpointSpec, open: (password: string) => string): Endpoint {
  return endpointOf(spec, open, (file) => {
    try {
      return readFileSync(file, "utf8");
    } catch (cause) {
      throw new Halt("SLU-002", `${file} can't be read where the coordinator runs`, { cause });
    }
  });
}
