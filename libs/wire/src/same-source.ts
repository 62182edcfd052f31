import { parseRedisUrl } from "./redis-url.ts";

/** A server as it is compared with another one: default ports filled in. */
export function place(url: string): string {
  const address = parseRedisUrl(url);
  return typeof address === "string" ? url : `${address.host}:${address.port} ${address.tls}`;
}

/**
 * Whether two URLs of a source lead to the same one. Sentinels come and go, and many installations give their primary the same name: one
 * of them at least must stand in both.
 */
export function isSameSource(url: string, other: string): boolean {
  const [one, two] = [sentinelsOf(url), sentinelsOf(other)];
  if (one === null || two === null) return one === two && place(url) === place(other);
  return one.primary === two.primary && one.servers.some((server) => two.servers.includes(server));
}

function sentinelsOf(url: string): { primary: string; servers: string[] } | null {
  const address = parseRedisUrl(url);
  if (typeof address === "string" || address.sentinels === undefined) return null;
  const { tls, sentinels } = address;
  return { primary: sentinels.primary, servers: sentinels.servers.map(({ host, port }) => `${host}:${port} ${tls}`) };
}
