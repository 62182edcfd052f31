import { setTimeout as sleep } from "node:timers/promises";
import { RedisCluster, RedisServer, TcpProxy, type Random } from "@sluice/testkit";

/** The source or the destination of a run, as faults see it. */
export interface Side extends AsyncDisposable {
  /** What Sluice is told: a proxy. */
  readonly url: string;
  /** The same without proxies, for the test's own clients. */
  readonly deployment: RedisServer | RedisCluster;
  /** All servers, primaries or not. */
  readonly nodes: readonly RedisServer[];
  /** Between Sluice and each server. */
  readonly proxies: readonly TcpProxy[];
  primaries(): Promise<RedisServer[]>;
  /** Undefined where none runs. */
  replicaOf(primary: RedisServer): Promise<RedisServer | undefined>;
  proxyOf(primary: RedisServer): TcpProxy;
  /** A replica takes over in agreement with its primary; nothing is lost. */
  handOver(primary: RedisServer): Promise<void>;
  /** A replica takes over although its primary runs and doesn't know. */
  usurp(primary: RedisServer): Promise<void>;
  /** The primary dies, its replica takes over, and the dead one comes back as the replica of that. */
  killPrimary(primary: RedisServer): Promise<void>;
  /** Every server runs, and they agree. */
  settled(): Promise<void>;
}

const SETTLE_MS = 60_000;
const LAG_STEP_MS = 25;

/**
 * Keeps a replica from following for so long: it can't log in, and its link is cut whenever it comes back. What its primary
 * answers meanwhile is lost if the replica takes over now.
 *
 * @returns lets it follow again
 */
export async function keepBehind(primary: RedisServer, replica: RedisServer, ms: number): Promise<() => Promise<void>> {
  const [own, other] = [replica.client(), primary.client()];
  await own.config("SET", "masterauth", "not-the-password");
  for (const endMs = performance.now() + ms; performance.now() < endMs;) {
    await other.call("CLIENT", "KILL", "TYPE", "replica");
    await sleep(LAG_STEP_MS);
  }
  return async () => {
    await own.config("SET", "masterauth", "");
    own.disconnect();
    other.disconnect();
  };
}

/** A cluster whose nodes are known by their proxies. */
export class ClusterSide implements Side {
  readonly deployment: RedisCluster;

  private constructor(cluster: RedisCluster) {
    this.deployment = cluster;
  }

  static async start(replicas: number, layout: readonly string[], config: Record<string, string>): Promise<ClusterSide> {
    return new ClusterSide(await RedisCluster.start({ replicas, layout, config, isProxied: true }));
  }

  get url(): string {
    return this.deployment.announcedUrl;
  }

  get nodes(): readonly RedisServer[] {
    return this.deployment.nodes;
  }

  get proxies(): readonly TcpProxy[] {
    return this.nodes.map((node) => this.deployment.proxyOf(node));
  }

  async primaries(): Promise<RedisServer[]> {
    return this.deployment.primaries();
  }

  async replicaOf(primary: RedisServer): Promise<RedisServer | undefined> {
    return (await this.deployment.replicas(primary))[0];
  }

  proxyOf(primary: RedisServer): TcpProxy {
    return this.deployment.proxyOf(primary);
  }

  async handOver(primary: RedisServer): Promise<void> {
    await this.deployment.failover(primary);
  }

  async usurp(primary: RedisServer): Promise<void> {
    const replica = await this.replicaOf(primary);
    if (replica === undefined) throw new Error(`the primary on port ${primary.port} has no replica`);
    const client = replica.client();
    await client.call("CLUSTER", "FAILOVER", "TAKEOVER");
    client.disconnect();
    await this.settled();
  }

  async killPrimary(primary: RedisServer): Promise<void> {
    await this.deployment.killPrimary(primary);
    await primary.restart();
    await this.settled();
  }

  async settled(): Promise<void> {
    await this.deployment.settled(SETTLE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.deployment[Symbol.asyncDispose]();
  }
}

/** One server, and maybe a replica, behind one address: the proxy leads to whichever is the primary. */
export class ServerSide implements Side {
  readonly nodes: readonly RedisServer[];
  readonly #proxy: TcpProxy;
  #primary: RedisServer;

  private constructor(nodes: readonly RedisServer[], proxy: TcpProxy) {
    const [primary] = nodes;
    if (primary === undefined) throw new Error("a side without a server");
    this.nodes = nodes;
    this.#primary = primary;
    this.#proxy = proxy;
  }

  static async start(replicas: 0 | 1, config: Record<string, string>): Promise<ServerSide> {
    const primary = await RedisServer.start({ config });
    const nodes = [primary];
    if (replicas === 1) {
      const replica = await RedisServer.start({ config, replicaOf: primary });
      await replica.waitForSync();
      nodes.push(replica);
    }
    return new ServerSide(nodes, await TcpProxy.start({ to: { host: "127.0.0.1", port: primary.port } }));
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#proxy.port}`;
  }

  get deployment(): RedisServer {
    return this.#primary;
  }

  get proxies(): readonly TcpProxy[] {
    return [this.#proxy];
  }

  async primaries(): Promise<RedisServer[]> {
    return [this.#primary];
  }

  async replicaOf(primary: RedisServer): Promise<RedisServer | undefined> {
    return this.nodes.find((node) => node !== primary && node.isRunning);
  }

  proxyOf(): TcpProxy {
    return this.#proxy;
  }

  async handOver(primary: RedisServer): Promise<void> {
    const replica = await this.#heir(primary);
    await replica.waitForSync();
    const client = primary.client();
    await client.call("FAILOVER", "TO", "127.0.0.1", replica.port, "TIMEOUT", 5000);
    while (!(await client.info("replication")).includes("role:slave")) await sleep(LAG_STEP_MS);
    client.disconnect();
    this.#follow(replica);
    await this.settled();
  }

  async usurp(primary: RedisServer): Promise<void> {
    const replica = await this.#heir(primary);
    await this.#promote(replica);
    await primary.replicate(replica);
    await this.settled();
  }

  async killPrimary(primary: RedisServer): Promise<void> {
    const replica = await this.#heir(primary);
    await primary.kill();
    await this.#promote(replica);
    await primary.restart();
    await primary.replicate(replica);
    await this.settled();
  }

  async settled(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => node !== this.#primary).map((node) => node.waitForSync(SETTLE_MS)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.#proxy[Symbol.asyncDispose]();
  }

  async #heir(primary: RedisServer): Promise<RedisServer> {
    const replica = await this.replicaOf(primary);
    if (replica === undefined) throw new Error(`the server on port ${primary.port} has no replica`);
    return replica;
  }

  async #promote(replica: RedisServer): Promise<void> {
    const client = replica.client();
    await client.call("REPLICAOF", "NO", "ONE");
    client.disconnect();
    this.#follow(replica);
  }

  /** As a floating address that moves: the connections to the former primary break. */
  #follow(primary: RedisServer): void {
    this.#primary = primary;
    this.#proxy.leadTo({ host: "127.0.0.1", port: primary.port });
    this.#proxy.cut();
  }
}

/** One of the primaries. */
export async function anyPrimary(side: Side, random: Random): Promise<RedisServer> {
  return random.pick(await side.primaries());
}
