import { Redis, type RedisOptions } from "ioredis";

const RECONNECT_MS = 50;

/** What a client may have otherwise, by the names of ioredis. */
export type ClientOptions = Readonly<
  Required<Pick<RedisOptions, "enableOfflineQueue" | "maxRetriesPerRequest" | "socketTimeout">>
>;

/**
 * A client for tests: RESP2 replies, reconnects for ever, but never sends a command twice, because a repeated INCR would falsify
 * what a test counts. Connection errors show as rejected commands, not as events.
 */
export function openClient(url: string, db = 0, options?: ClientOptions): Redis {
  const client = new Redis(url, {
    db,
    protocol: 2,
    disableClientInfo: true,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 100,
    retryStrategy: () => RECONNECT_MS,
    ...options,
  });
  client.on("error", () => undefined);
  return client;
}
