import { endpointName } from "../connection/endpoint.ts";
import { infoFields } from "../info-fields.ts";
import type { ClusterConnections } from "./cluster-connections.ts";
import { parseClusterNodes } from "./cluster-nodes.ts";
import { parseClusterSlots } from "./cluster-slots.ts";
import {
  idlePrimariesOf,
  movesOf,
  ownersOf,
  primariesOf,
  type Address,
  type ClusterView,
  type Deployment,
  type PrimaryNode,
  type ReplicaNode,
  type SlotOnItsWay,
} from "./deployment.ts";

const ALL_SLOTS = "0-16383";

/**
 * Finds out what a deployment looks like from the first of `seeds` that answers, asking every primary of a cluster whether it
 * sees the same owners; where they disagree the next seed is asked, since the first may be cut off from the others.
 * The last picture with its `trouble` when no seed's holds. Throws what the last seed's connection threw when none answers.
 */
export async function lookAtDeployment(connections: ClusterConnections, seeds: readonly Address[]): Promise<Deployment> {
  let found: Deployment | null = null;
  let failure: unknown = new Error("there is no server to ask");
  for (const seed of seeds) {
    try {
      found = await lookFrom(connections, seed);
      if (found.trouble === null) return found;
    } catch (cause) {
      failure = cause;
    }
  }
  if (found === null) throw failure;
  return found;
}

async function lookFrom(connections: ClusterConnections, seed: Address): Promise<Deployment> {
  const server = infoFields(await connections.text(seed, ["INFO", "server"]));
  const cluster = infoFields(await connections.text(seed, ["INFO", "cluster"]));
  if (cluster.get("cluster_enabled") !== "1") return standaloneAt(connections, seed, server.get("run_id") ?? "");
  const view = parseClusterNodes(await connections.text(seed, ["CLUSTER", "NODES"]));
  const announced = parseClusterSlots(await connections.call(seed, ["CLUSTER", "SLOTS"]));
  const primaries = primariesOf(view, announced, seed);
  const owners = ownersOf(view);
  const moves: SlotOnItsWay[] = [];
  const ask = async (primary: PrimaryNode): Promise<string | null> => {
    const name = endpointName(primary);
    try {
      const own: ClusterView = parseClusterNodes(await connections.text(primary, ["CLUSTER", "NODES"]));
      moves.push(...movesOf(own));
      return ownersOf(own) === owners ? null : `${name} sees other owners of slots than ${endpointName(seed)}`;
    } catch (cause) {
      return `${name}: ${cause instanceof Error ? cause.message : String(cause)}`;
    }
  };
  const troubles = await Promise.all(primaries.map(ask));
  return {
    mode: "cluster",
    primaries,
    idle: idlePrimariesOf(view, announced, seed),
    nodeIds: view.map(({ id }) => id).toSorted(),
    movingSlots: [...new Set(moves.map(({ slot }) => slot))].toSorted((a, b) => a - b),
    moves,
    trouble: troubles.find((trouble) => trouble !== null) ?? (primaries.length === 0 ? "no node owns slots" : null),
  };
}

async function standaloneAt(connections: ClusterConnections, seed: Address, id: string): Promise<Deployment> {
  const replication = infoFields(await connections.text(seed, ["INFO", "replication"]));
  const primary = { id, host: seed.host, port: seed.port, slots: ALL_SLOTS, replicas: replicasOf(replication) };
  return { mode: "standalone", primaries: [primary], idle: [], nodeIds: [id], movingSlots: [], moves: [], trouble: null };
}

/** `slave0:ip=10.0.0.7,port=6379,state=online,offset=…`; who only poses as a replica announces port 0. */
function replicasOf(replication: ReadonlyMap<string, string>): ReplicaNode[] {
  const replicas: ReplicaNode[] = [];
  for (const [name, value] of replication) {
    const fields = /^slave\d+$/.test(name) ? /^ip=([^,]+),port=(\d+),state=online(?:,|$)/.exec(value) : null;
    const host = fields?.[1] ?? "";
    const port = Number(fields?.[2] ?? 0);
    if (port > 0) replicas.push({ id: endpointName({ host, port }), host, port });
  }
  return replicas;
}

/** True when the server is a replica with a working link to its primary, and has its data loaded. Never throws. */
export async function isHealthyReplica(connections: ClusterConnections, address: Address): Promise<boolean> {
  try {
    const fields = infoFields(await connections.text(address, ["INFO"]));
    return fields.get("role") === "slave" && fields.get("master_link_status") === "up" && fields.get("loading") !== "1";
  } catch {
    return false;
  }
}
