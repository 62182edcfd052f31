import { isIP } from "node:net";
import type { Endpoint } from "@sluice/redis";
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
  const { host, port, user, password, tls } = endpoint;
  const serverName = tls?.serverName ?? (isIP(host) === 0 ? host : undefined);
  const client = new Redis({
    host,
    port,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(tls.ca === undefined ? {} : { ca: tls.ca }),
            ...(tls.cert === undefined ? {} : { cert: tls.cert }),
            ...(tls.key === undefined ? {} : { key: tls.key }),
            ...(serverName === undefined ? {} : { servername: serverName }),
            rejectUnauthorized: tls.insecure !== true,
            minVersion: "TLSv1.2" as const,
          },
        }),
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
