import { SLOT_COUNT } from "@sluice/redis";
import { bulk, EMPTY, integer, list, type Encoded } from "./sim-reply.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimServer } from "./sim-server.ts";

const BUS_PORT_DISTANCE = 10_000;

/** CLUSTER NODES as one node answers it (cluster.c, `clusterGenNodeDescription` of 7.0). */
export function nodesText(cluster: SimCluster, asked: SimServer): string {
  return cluster.servers.map((server) => `${nodeLine(cluster, asked, server)}\n`).join("");
}

function nodeLine(cluster: SimCluster, asked: SimServer, server: SimServer): string {
  const { nodeId, host, port, primaryLink } = server;
  const flags = [
    ...(server === asked ? ["myself"] : []),
    primaryLink === null ? "master" : "slave",
    ...(cluster.hasFailed(server) ? ["fail"] : []),
  ].join(",");
  const ranges = cluster.rangesOf(server, asked).map(([from, to]) => (from === to ? ` ${from}` : ` ${from}-${to}`));
  const { migrating, importing } = cluster.movingSlots(server);
  const moving =
    server === asked
      ? [
          ...[...migrating].map(([slot, { nodeId: id }]) => ` [${slot}->-${id}]`),
          ...[...importing].map(([slot, { nodeId: id }]) => ` [${slot}-<-${id}]`),
        ]
      : [];
  const link = server.isUp || server === asked ? "connected" : "disconnected";
  const primary = primaryLink?.primary.nodeId ?? "-";
  const epoch = cluster.epochOf(primaryLink?.primary ?? server);
  const address = `${host}:${port}@${port + BUS_PORT_DISTANCE}`;
  return `${nodeId} ${address} ${flags} ${primary} 0 0 ${epoch} ${link}${ranges.join("")}${moving.join("")}`;
}

interface Shard {
  readonly from: number;
  readonly to: number;
  readonly owner: SimServer;
}

function shardsOf(cluster: SimCluster, asked: SimServer): Shard[] {
  return cluster.servers
    .flatMap((owner) => cluster.rangesOf(owner, asked).map(([from, to]) => ({ from, to, owner })))
    .toSorted((one, other) => one.from - other.from);
}

function aliveReplicas(cluster: SimCluster, owner: SimServer): SimServer[] {
  return owner.replicas.map(({ server }) => server).filter((server) => server.isUp && !cluster.hasFailed(server));
}

/** CLUSTER SLOTS: primary first, then its replicas. */
export function slotsReply(cluster: SimCluster, asked: SimServer): Encoded {
  const node = ({ host, port, nodeId }: SimServer): Encoded => list([bulk(host), integer(port), bulk(nodeId), EMPTY]);
  return list(
    shardsOf(cluster, asked).map(({ from, to, owner }) =>
      list([integer(from), integer(to), node(owner), ...aliveReplicas(cluster, owner).map(node)]),
    ),
  );
}

/** CLUSTER SHARDS. */
export function shardsReply(cluster: SimCluster, asked: SimServer): Encoded {
  const fields = (pairs: Readonly<Record<string, Encoded>>): Encoded =>
    list(Object.entries(pairs).flatMap(([name, value]) => [bulk(name), value]));
  const node = (server: SimServer): Encoded =>
    fields({
      id: bulk(server.nodeId),
      port: integer(server.port),
      ip: bulk(server.host),
      endpoint: bulk(server.host),
      role: bulk(server.isReplica ? "replica" : "master"),
      "replication-offset": integer(server.log.offset),
      health: bulk(cluster.hasFailed(server) ? "fail" : "online"),
    });
  const owners = cluster.servers.filter((server) => !server.isReplica);
  return list(
    owners.map((owner) =>
      fields({
        slots: list(cluster.rangesOf(owner, asked).flat().map(integer)),
        nodes: list([owner, ...owner.replicas.map(({ server }) => server)].map(node)),
      }),
    ),
  );
}

/** CLUSTER INFO. */
export function clusterInfoText(cluster: SimCluster, asked: SimServer): string {
  const shards = shardsOf(cluster, asked);
  const assigned = shards.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  const fields = {
    cluster_enabled: 1,
    cluster_state: cluster.isHealthy(asked) ? "ok" : "fail",
    cluster_slots_assigned: assigned,
    cluster_slots_ok: assigned,
    cluster_slots_pfail: 0,
    cluster_slots_fail: SLOT_COUNT - assigned,
    cluster_known_nodes: cluster.servers.length,
    cluster_size: new Set(shards.map(({ owner }) => owner)).size,
    cluster_current_epoch: cluster.epoch,
    cluster_my_epoch: cluster.epochOf(asked),
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join("");
}
