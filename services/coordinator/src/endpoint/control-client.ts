import { credentialsFor, tlsOptions, type Endpoint } from "@sluice/redis";
import { backoffMs } from "@sluice/runtime";
import { Redis } from "ioredis";

/** How long connecting and each command may take. */
const CONTROL_TIMEOUT_MS = 3_000;

/**
 * A connection for questions (INFO, SCAN, GET), never for data: nothing is queued while it is away, nothing is sent twice, and
 * its errors are rejected commands, never events. Call `connect()` before the first command and `disconnect()` at the end.
 * `isLasting`: connects again by itself, with growing delay up to 5 s.
 */
export function controlClient(endpoint: Endpoint, { isLasting }: { readonly isLasting: boolean }): Redis {
  const { host, port } = endpoint;
  const { user, password } = credentialsFor(endpoint);
  const tls = tlsOptions(endpoint);
  const client = new Redis({
    host,
    port,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(tls === null ? {} : { tls }),
    protocol: 2,
    disableClientInfo: true,
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONTROL_TIMEOUT_MS,
    commandTimeout: CONTROL_TIMEOUT_MS,
    retryStrategy: isLasting ? (attempt: number) => backoffMs(attempt) : () => null,
  });
  client.on("error", () => undefined);
  return client;
}
