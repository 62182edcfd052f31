import { endpointName } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";

/**
 * The connection is gone, or never came about. What was sent and not answered may or may not have been executed. `cause` is the socket's error, the
 * abort reason, or absent when either side closed it in good order.
 */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  /** `host:port`. */
  readonly endpoint: string;

  constructor(endpoint: Endpoint, what: string, cause?: unknown) {
    const name = endpointName(endpoint);
    super(`${name}: ${what}`, cause === undefined ? undefined : { cause });
    this.endpoint = name;
  }
}
