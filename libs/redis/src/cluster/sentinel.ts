import { endpointName, type Endpoint, type Sentinels } from "../connection/endpoint.ts";
import { infoFields } from "../info-fields.ts";
import type { Reply } from "../resp/reply.ts";
import { ClusterConnections } from "./cluster-connections.ts";
import type { Address, Deployment } from "./deployment.ts";
import { printable } from "./printable.ts";

/** What one Sentinel says of a primary. */
interface Answer extends Address {
  /** Of the failover that made it the primary: grows with each, and all Sentinels agree on it in the end. 0 where it is not told. */
  readonly configEpoch: number;
}

/** Connections to the Sentinels of an endpoint, with its TLS and their own credentials. */
export function sentinelConnections(
  { tls }: Pick<Endpoint, "tls">,
  { user, password }: Sentinels,
  timeoutMs: number,
): ClusterConnections {
  const credentials = {
    ...(tls === undefined ? {} : { tls }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
  };
  return new ClusterConnections(credentials, timeoutMs);
}

/**
 * Where a primary is by the word of its Sentinels. All are asked, side by side: one that is cut off together with a former primary
 * still names that one, and says so with a lower configuration epoch than the others (sentinel.c, `config_epoch`). Whoever is
 * named must be asked for its role before it is used (Redis, "Guidelines for Redis clients with support for Redis Sentinel").
 *
 * @throws {Error} no Sentinel answers, or none knows the name; says what each of them answered.
 */
export async function primaryBySentinels(
  connections: ClusterConnections,
  { primary, servers }: Pick<Sentinels, "primary" | "servers">,
): Promise<Address> {
  const asked = await Promise.allSettled(servers.map(async (server) => askSentinel(connections, server, primary)));
  let found: Answer | null = null;
  const failures: string[] = [];
  for (const [index, outcome] of asked.entries()) {
    const name = endpointName(servers[index] as Address);
    if (outcome.status === "rejected")
      failures.push(`${name}: ${outcome.reason instanceof Error ? outcome.reason.message : String(outcome.reason)}`);
    else if (outcome.value === null) failures.push(`${name} knows no primary ${printable(primary)}`);
    else if (found === null || outcome.value.configEpoch > found.configEpoch) found = outcome.value;
  }
  if (found !== null) return { host: found.host, port: found.port };
  const first = asked.find((outcome) => outcome.status === "rejected");
  throw new Error(`no Sentinel tells where ${printable(primary)} is: ${failures.join("; ")}`, { cause: first?.reason });
}

async function askSentinel(connections: ClusterConnections, server: Address, primary: string): Promise<Answer | null> {
  const reply = await connections.call(server, ["SENTINEL", "get-master-addr-by-name", primary]);
  if (reply === null) return null;
  const [host, port] = Array.isArray(reply) ? reply.map((part) => textOf(part)) : [];
  if (host === undefined || host === "" || !/^\d{1,5}$/.test(port ?? ""))
    throw new Error("expected the host and port of a primary");
  const configEpoch = await connections
    .call(server, ["SENTINEL", "MASTER", primary])
    .then(configEpochOf)
    .catch(() => 0);
  return { host, port: Number(port), configEpoch };
}

/** SENTINEL MASTER answers names and values in turn. */
function configEpochOf(reply: Reply): number {
  const fields = Array.isArray(reply) ? reply.map((part) => textOf(part)) : [];
  const at = fields.findIndex((name, index) => index % 2 === 0 && name === "config-epoch");
  const epoch = Number(fields[at + 1] ?? "0");
  return at >= 0 && Number.isSafeInteger(epoch) ? epoch : 0;
}

function textOf(part: Reply): string {
  return Buffer.isBuffer(part) ? part.toString("latin1") : String(part);
}

/**
 * The deployment that Sentinels lead to, as `look` sees it. Its `trouble` says so when the server that they name is no primary: it
 * is not one yet, or not any more.
 */
export async function lookThroughSentinels(
  asked: ClusterConnections,
  sentinels: Pick<Sentinels, "primary" | "servers">,
  connections: ClusterConnections,
  look: (connections: ClusterConnections, seeds: readonly Address[]) => Promise<Deployment>,
): Promise<Deployment> {
  const address = await primaryBySentinels(asked, sentinels);
  const seen = await look(connections, [address]);
  const role = infoFields(await connections.text(address, ["INFO", "replication"])).get("role") ?? "unknown";
  if (role === "master" || seen.trouble !== null) return seen;
  return {
    ...seen,
    trouble: `${endpointName(address)}, where the Sentinels say that ${sentinels.primary} is, says role:${role}`,
  };
}
