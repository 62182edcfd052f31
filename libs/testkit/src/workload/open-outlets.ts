import type { Redis } from "ioredis";
import type { ClusterEndpoint } from "../servers/redis-cluster.ts";
import { ClusterOutlet } from "./cluster-outlet.ts";
import { ServerOutlet, type Outlet } from "./outlet.ts";
import { openDatabases } from "./pipeline.ts";

/**
 * A way to each database of a server or cluster.
 *
 * @param target a cluster, or any connection to a server, of which others are made
 * @throws RangeError for a database of a cluster other than 0
 */
export async function openOutlets(target: Redis | ClusterEndpoint, databases: readonly number[]): Promise<Outlet[]> {
  if (!isClusterEndpoint(target)) {
    return (await openDatabases(target, databases)).map((client) => new ServerOutlet(client));
  }
  const other = databases.find((db) => db !== 0);
  if (other !== undefined) throw new RangeError(`a cluster has database 0 only, not ${other}`);
  return Promise.all(databases.map(() => ClusterOutlet.open(target)));
}

export function isClusterEndpoint(target: object): target is ClusterEndpoint {
  return "cluster" in target && target.cluster === true;
}
