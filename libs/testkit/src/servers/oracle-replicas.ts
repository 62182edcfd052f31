import type { RedisCluster } from "./redis-cluster.ts";
import { RedisServer } from "./redis-server.ts";

/**
 * One plain server as a replica of each primary of a cluster: together they hold what the cluster holds and show it when asked
 * by the rules of a replica (see `compareDeployments`). They are no members of the cluster, so its topology is as it would be
 * without them.
 */
export class OracleReplicas implements AsyncDisposable {
  readonly #cluster: RedisCluster;
  /** By the port of the primary that each follows. */
  readonly #followers = new Map<number, RedisServer>();

  constructor(cluster: RedisCluster) {
    this.#cluster = cluster;
  }

  get servers(): RedisServer[] {
    return [...this.#followers.values()];
  }

  /**
   * Lets the replicas follow the primaries that own slots now (after a failover, or a change of slots that left a node without
   * or gave another its first ones) and waits until each has everything that its primary had written when this was called.
   */
  async sync(timeoutMs = 60_000): Promise<void> {
    const primaries = await this.#cluster.primaries();
    const ports = new Set(primaries.map(({ port }) => port));
    const spare = [...this.#followers].filter(([port]) => !ports.has(port));
    for (const [port] of spare) this.#followers.delete(port);
    await Promise.all(
      primaries.map(async (primary) => {
        const server =
          this.#followers.get(primary.port) ?? spare.shift()?.[1] ?? (await RedisServer.start({ replicaOf: primary }));
        this.#followers.set(primary.port, server);
        await server.replicate(primary);
        await server.waitForSync(timeoutMs);
      }),
    );
    await Promise.all(spare.map(([, server]) => server[Symbol.asyncDispose]()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

/** Starts the replicas of a cluster's primaries; resolves when they are in sync. */
export async function replicasOf(cluster: RedisCluster): Promise<OracleReplicas> {
  const replicas = new OracleReplicas(cluster);
  try {
    await replicas.sync();
    return replicas;
  } catch (error) {
    await replicas[Symbol.asyncDispose]();
    throw error;
  }
}
