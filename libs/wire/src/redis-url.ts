/** Where a server is, as its URL says it. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Present for sentinel:// and sentinels://; `host` and `port` are then those of the first Sentinel. */
  readonly sentinels?: SentinelAddress;
}

/** Sentinels that know where a primary is at the moment. */
export interface SentinelAddress {
  /** The name under which they watch it (`sentinel monitor <name> …`). */
  readonly primary: string;
  /** At least one, in the order in which they stand in the URL. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
}

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;
const SENTINEL_URL = /^(sentinels?):\/\/([^/]*)(?:\/(.*))?$/s;
/** What Sentinel itself takes as a name (sentinel.c, `sentinelSetCommand` and the monitor directive: letters, digits, `.`, `-`, `_`). */
const PRIMARY_NAME = /^[A-Za-z0-9._-]+$/;

/**
 * Reads `redis://host:port` or `rediss://host:port`, and `sentinel://host:port[,host:port…]/name` or `sentinels://…` (TLS to the
 * Sentinels and to the servers they name). Ports are 6379 and 26379 where there is none. A string says what is wrong with it.
 */
export function parseRedisUrl(text: string): RedisAddress | string {
  const sentinel = SENTINEL_URL.exec(text);
  if (sentinel !== null) return sentinelAddress(sentinel[1] === "sentinels", sentinel[2] ?? "", sentinel[3] ?? "");
  if (!URL.canParse(text)) return "expected redis://host:port or rediss://host:port";
  const parsed = new URL(text);
  if (parsed.protocol !== "redis:" && parsed.protocol !== "rediss:") return "expected the scheme redis or rediss";
  const server = serverOf(parsed, REDIS_PORT);
  if (typeof server === "string") return server;
  if (parsed.pathname !== "" && parsed.pathname !== "/")
    return "expected nothing behind the port: `databases` has a field of its own";
  return { ...server, tls: parsed.protocol === "rediss:" };
}

function sentinelAddress(tls: boolean, list: string, name: string): RedisAddress | string {
  if (name === "") return "expected the name of the primary behind the Sentinels: sentinel://host:port/name";
  if (!PRIMARY_NAME.test(name)) return "expected a name of letters, digits, `.`, `-` and `_` behind the Sentinels";
  const servers: { host: string; port: number }[] = [];
  for (const part of list.split(",")) {
    if (!URL.canParse(`redis://${part}`)) return "expected host:port of each Sentinel, separated by commas";
    const server = serverOf(new URL(`redis://${part}`), SENTINEL_PORT);
    if (typeof server === "string") return server;
    servers.push(server);
  }
  const first = servers[0];
  if (first === undefined) return "expected a host";
  return { ...first, tls, sentinels: { primary: name, servers } };
}

function serverOf(parsed: URL, defaultPort: number): { host: string; port: number } | string {
  if (parsed.username !== "" || parsed.password !== "") return "expected no credentials in the URL: use `user` and `password`";
  if (parsed.hostname === "") return "expected a host";
  if (parsed.port === "0") return "expected a port from 1 to 65535";
  if (parsed.search !== "" || parsed.hash !== "") return "expected nothing behind the port: options have their own fields";
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  return { host, port: parsed.port === "" ? defaultPort : Number(parsed.port) };
}
