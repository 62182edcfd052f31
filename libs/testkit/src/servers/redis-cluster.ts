import { Cluster, type Redis } from "ioredis";
import { TcpProxy } from "../proxy/tcp-proxy.ts";
import { freeClusterPort } from "./free-port.ts";
import { agreementText, hasFailed, ownsSlot, readClusterView, type ClusterMember, type ClusterView } from "./cluster-view.ts";
import { parseSlots, SLOTS } from "./key-slot.ts";
import { RedisServer } from "./redis-server.ts";
import { claimSlots, closeMigration, migrateSlots, moveKeys, openMigration, type MigrationPlan } from "./slot-migration.ts";
import { SpawnedProcess } from "./spawned-process.ts";
import { waitUntil } from "./wait-until.ts";

/** A cluster for a client: nodes to ask for the others. */
export interface ClusterEndpoint {
  readonly cluster: true;
  readonly url: string;
  /** Nodes to ask when the one of `url` does not answer. */
  readonly urls?: readonly string[];
  /** The ports on which its nodes really listen, by those that they announce: how to go around their proxies. */
  readonly directPorts?: ReadonlyMap<number, number>;
}

export interface RedisClusterOptions {
  /** Default 3. */
  readonly primaries?: number;
  /** Replicas of each primary; default 0. */
  readonly replicas?: number;
  /** The slots of each primary as ranges, e.g. `["0-99,200-16383", "100-199"]`. Default: as even as can be, in order. */
  readonly layout?: readonly string[];
  /** Lines of redis.conf of every node, see `RedisServerOptions`. */
  readonly config?: Readonly<Record<string, string>>;
  /** Every node announces a proxy of its own in its place, see `proxyOf`; also to its replicas. Default false. */
  readonly isProxied?: boolean;
}

/** A migration of one slot that stands still with its keys at both nodes. */
export interface HalfMove {
  readonly slot: number;
  /** Moves the rest of the keys and makes the new owner known to all nodes. */
  finish(): Promise<void>;
}

const CLUSTER_CONFIG: Readonly<Record<string, string>> = {
  "cluster-enabled": "yes",
  "cluster-config-file": "nodes.conf",
  "cluster-node-timeout": "2000",
  "cluster-replica-validity-factor": "0", // a replica may always take over
  "cluster-allow-replica-migration": "no",
  "cluster-announce-ip": "127.0.0.1",
};

const SETTLE_TIMEOUT_MS = 60_000;
const RESHARD_TIMEOUT_MS = 120_000;
/** A manual failover is given up by the replica after 5 s (cluster.c, CLUSTER_MF_TIMEOUT). */
const FAILOVER_TIMEOUT_MS = 6000;
const FAILOVER_ATTEMPTS = 3;

/** A real cluster (redis-server 7.0 or newer) on 127.0.0.1 that fails over within seconds (node timeout 2 s). */
export class RedisCluster implements AsyncDisposable, ClusterEndpoint {
  readonly cluster = true;
  /** As they were started: the first primaries, their replicas, then those of `addNode`. Roles change, the order does not. */
  readonly nodes: RedisServer[] = [];
  readonly directPorts = new Map<number, number>();
  readonly #config: Readonly<Record<string, string>>;
  readonly #isProxied: boolean;
  readonly #proxies = new Map<RedisServer, TcpProxy>();
  readonly #clients: Cluster[] = [];
  readonly #admins = new Map<RedisServer, Redis>();

  private constructor(config: Readonly<Record<string, string>>, isProxied: boolean) {
    this.#config = { ...CLUSTER_CONFIG, ...config };
    this.#isProxied = isProxied;
  }

  /** Resolves when it is `settled`. @throws Error when redis-server is missing or that takes more than 30 s */
  static async start(options: RedisClusterOptions = {}): Promise<RedisCluster> {
    const { primaries = 3, replicas = 0, layout = evenLayout(primaries), config = {} } = options;
    if (layout.length !== primaries)
      throw new RangeError(`a layout for ${layout.length} primaries, but ${primaries} primaries`);
    const slots = layout.map((ranges) => parseSlots(ranges));
    const cluster = new RedisCluster(config, options.isProxied === true);
    try {
      await cluster.#grow(primaries * (1 + replicas));
      await Promise.all(slots.map((own, place) => claimSlots(cluster.#admin(cluster.#node(place)), own)));
      await cluster.#meet();
      await Promise.all(
        cluster.nodes.slice(primaries).map(async (replica, place) => {
          const { id } = await cluster.#member(cluster.#node(place % primaries));
          await cluster.#admin(replica).call("CLUSTER", "REPLICATE", id);
        }),
      );
      await cluster.settled();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The first node. */
  get url(): string {
    return this.#node(0).url;
  }

  /** As its nodes announce it: the first node, or the proxy before it. */
  get announcedUrl(): string {
    const proxy = this.#proxies.get(this.#node(0));
    return proxy === undefined ? this.url : `redis://127.0.0.1:${proxy.port}`;
  }

  /** What stands between a node and everybody who has its address from the cluster. @throws Error unless `isProxied` */
  proxyOf(node: RedisServer): TcpProxy {
    const proxy = this.#proxies.get(node);
    if (proxy === undefined) throw new Error(`the node on port ${node.port} has no proxy`);
    return proxy;
  }

  get urls(): string[] {
    return this.nodes.map((node) => node.url);
  }

  /** A client of the whole cluster (RESP2, never resending after a lost connection), closed when the cluster is disposed of. */
  client(): Cluster {
    const seeds = this.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
    const client = new Cluster(seeds, {
      redisOptions: { protocol: 2, disableClientInfo: true, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 100 },
      clusterRetryStrategy: () => 50,
      natMap: Object.fromEntries(
        [...this.directPorts].map(([announced, port]) => [`127.0.0.1:${announced}`, { host: "127.0.0.1", port }]),
      ),
    });
    client.on("error", () => undefined);
    this.#clients.push(client);
    return client;
  }

  /** What a node that runs sees. */
  async view(): Promise<ClusterView> {
    return this.#viewOf(this.#running()[0] ?? this.#node(0));
  }

  /** The primaries that own slots, in the order of `nodes`. */
  async primaries(): Promise<RedisServer[]> {
    const ports = new Set((await this.view()).filter(({ ranges }) => ranges.length > 0).map(({ port }) => port));
    return this.nodes.filter((node) => ports.has(node.port));
  }

  /** @throws Error when no node owns the slot */
  async primaryOf(slot: number): Promise<RedisServer> {
    const owner = (await this.view()).find((member) => ownsSlot(member, slot));
    return this.#nodeOf(owner, `the owner of slot ${slot}`);
  }

  /** In ascending order; none for a replica. */
  async slotsOf(node: RedisServer): Promise<number[]> {
    const { ranges } = await this.#member(node);
    return ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
  }

  /** The replicas of a primary that are not known to have failed. */
  async replicas(primary: RedisServer): Promise<RedisServer[]> {
    const view = await this.view();
    const { id } = this.#memberIn(view, primary);
    const ports = new Set(view.filter((member) => member.primaryId === id && !hasFailed(member)).map(({ port }) => port));
    return this.nodes.filter((node) => ports.has(node.port));
  }

  /**
   * Waits until every running node says `cluster_state:ok`, they agree on members, roles and slots, none of them has failed for
   * another, and the running replicas are in sync. Nodes that were killed or paused do not count.
   */
  async settled(timeoutMs = SETTLE_TIMEOUT_MS): Promise<void> {
    await waitUntil("the cluster has settled", () => this.#isSettled(), { timeoutMs, details: () => this.#logTails() });
  }

  /** Adds a primary without slots. */
  async addNode(): Promise<RedisServer> {
    const [added] = await this.#grow(1);
    await this.#meet();
    await this.settled();
    if (added === undefined) throw new Error("no node was started");
    return added;
  }

  /**
   * Moves slots with their keys from one primary to another while clients work on. Our own steps of the documented protocol;
   * see `reshard` for those of redis-cli.
   *
   * @param slots the slots themselves, or how many, which takes the lowest ones
   */
  async moveSlots(slots: Iterable<number> | number, from: RedisServer, to: RedisServer): Promise<void> {
    const chosen = typeof slots === "number" ? (await this.slotsOf(from)).slice(0, slots) : [...slots];
    await migrateSlots(await this.#planOf(chosen, from, to));
    await this.settled();
  }

  /** Opens the migration of a slot and moves `keys` of its keys (default: half of them), then leaves it so. */
  async moveHalf(slot: number, to: RedisServer, keys?: number): Promise<HalfMove> {
    const plan = await this.#planOf([slot], await this.primaryOf(slot), to);
    await openMigration(plan);
    const held = Number(await plan.from.client.call("CLUSTER", "COUNTKEYSINSLOT", slot));
    await moveKeys(plan, keys ?? Math.ceil(held / 2));
    const finish = async (): Promise<void> => {
      await moveKeys(plan);
      await closeMigration(plan);
      await this.settled();
    };
    return { slot, finish };
  }

  /** Moves that many slots with `redis-cli --cluster reshard`. @throws Error with its output when it fails */
  async reshard(from: RedisServer, to: RedisServer, slots: number): Promise<void> {
    const [source, target] = [await this.#member(from), await this.#member(to)];
    const ends = ["--cluster-from", source.id, "--cluster-to", target.id, "--cluster-slots", String(slots)];
    const args = ["--cluster", "reshard", `127.0.0.1:${from.port}`, ...ends, "--cluster-yes"];
    await using cli = await SpawnedProcess.start({
      command: "redis-cli",
      args,
      remedy: "install the Debian package redis-tools",
    });
    const exit = await waitUntil("redis-cli ends", () => cli.exit, {
      timeoutMs: RESHARD_TIMEOUT_MS,
      details: () => cli.logTail(),
    });
    if (exit.code !== 0) throw new Error(`redis-cli --cluster reshard failed (${JSON.stringify(exit)})\n${cli.logTail()}`);
    await this.settled();
  }

  /**
   * CLUSTER FAILOVER: a replica of `primary` takes its place in agreement with it, without the loss of a write.
   *
   * @returns the new primary
   */
  async failover(primary: RedisServer): Promise<RedisServer> {
    const [replica] = await this.replicas(primary);
    if (replica === undefined) throw new Error(`the node on port ${primary.port} has no replica that runs`);
    const hasTakenOver = async (): Promise<boolean> => (await this.#member(replica)).primaryId === undefined;
    for (let attempt = 1; ; attempt++) {
      await this.#admin(replica).call("CLUSTER", "FAILOVER");
      try {
        await waitUntil("the replica has taken over", hasTakenOver, { timeoutMs: FAILOVER_TIMEOUT_MS });
        break;
      } catch (error) {
        if (attempt === FAILOVER_ATTEMPTS) throw error;
      }
    }
    await this.settled();
    return replica;
  }

  /**
   * Kills a primary (SIGKILL) and waits until a replica has taken its place by itself. Writes that were answered but had not
   * reached the replica are lost. `restart` of the killed node makes it a replica.
   *
   * @returns the new primary
   */
  async killPrimary(primary: RedisServer): Promise<RedisServer> {
    const replicas = await this.replicas(primary);
    await primary.kill();
    const successor = await waitUntil(
      "a replica takes over",
      async () => {
        for (const replica of replicas) if ((await this.#member(replica)).ranges.length > 0) return replica;
        return undefined;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, details: () => this.#logTails() },
    );
    await this.settled();
    return successor;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy[Symbol.asyncDispose]()));
  }

  async #grow(count: number): Promise<RedisServer[]> {
    const added = await Promise.all(Array.from({ length: count }, () => this.#startNode()));
    this.nodes.push(...added);
    return added;
  }

  async #startNode(): Promise<RedisServer> {
    const port = await freeClusterPort();
    if (!this.#isProxied) return RedisServer.start({ port, config: this.#config });
    const proxy = await TcpProxy.start({ to: { host: "127.0.0.1", port } });
    this.directPorts.set(proxy.port, port);
    const node = await RedisServer.start({ port, config: { ...this.#config, "cluster-announce-port": String(proxy.port) } });
    this.#proxies.set(node, proxy);
    return node;
  }

  /** Introduces the first node to all others; they hear of each other from it. */
  async #meet(): Promise<void> {
    const [first, ...others] = this.#running();
    if (first === undefined) throw new Error("no node runs");
    await Promise.all(others.map((node) => this.#admin(first).call("CLUSTER", "MEET", "127.0.0.1", node.port)));
    await waitUntil("all nodes know each other", async () => {
      const views = await this.#views();
      return views.every((view) => view.length >= this.nodes.length && view.every((member) => !member.flags.has("handshake")));
    });
  }

  async #isSettled(): Promise<boolean> {
    const views = await this.#views();
    const [agreed = ""] = views.map(agreementText);
    if (views.some((view) => agreementText(view) !== agreed)) return false;
    const running = this.#running();
    const ports = new Set(running.map(({ port }) => port));
    for (const view of views) {
      const living = view.filter(({ port }) => ports.has(port));
      if (living.length < running.length || living.some((member) => hasFailed(member) || !member.isLinked)) return false;
    }
    for (const node of running) {
      const [state, replication] = [
        await this.#admin(node).call("CLUSTER", "INFO"),
        await this.#admin(node).info("replication"),
      ];
      if (!String(state).includes("cluster_state:ok")) return false;
      if (/^role:slave/m.test(replication) && !/^master_link_status:up/m.test(replication)) return false;
    }
    return true;
  }

  async #planOf(slots: readonly number[], from: RedisServer, to: RedisServer): Promise<MigrationPlan> {
    const view = await this.view();
    const end = (node: RedisServer): MigrationPlan["from"] => ({
      id: this.#memberIn(view, node).id,
      port: node.port,
      client: this.#admin(node),
    });
    const primaries = new Set(view.filter(({ primaryId }) => primaryId === undefined).map(({ port }) => port));
    const others = this.#running().filter((node) => node !== from && node !== to && primaries.has(node.port));
    return { slots, from: end(from), to: end(to), others: others.map((node) => this.#admin(node)) };
  }

  #running(): RedisServer[] {
    return this.nodes.filter((node) => node.isRunning);
  }

  async #views(): Promise<ClusterView[]> {
    return Promise.all(this.#running().map((node) => this.#viewOf(node)));
  }

  async #viewOf(node: RedisServer): Promise<ClusterView> {
    return readClusterView(this.#admin(node), this.directPorts);
  }

  /** What a node says about itself. */
  async #member(node: RedisServer): Promise<ClusterMember> {
    return this.#memberIn(node.isRunning ? await this.#viewOf(node) : await this.view(), node);
  }

  #memberIn(view: ClusterView, node: RedisServer): ClusterMember {
    const member = view.find(({ port }) => port === node.port);
    if (member === undefined) throw new Error(`the node on port ${node.port} is not a member of the cluster`);
    return member;
  }

  #nodeOf(member: ClusterMember | undefined, what: string): RedisServer {
    const found = this.nodes.find(({ port }) => port === member?.port);
    if (found === undefined) throw new Error(`the cluster has no node that is ${what}`);
    return found;
  }

  #node(place: number): RedisServer {
    const node = this.nodes[place];
    if (node === undefined) throw new Error(`the cluster has no node number ${place}`);
    return node;
  }

  /** One connection to each node for the questions of this class. */
  #admin(node: RedisServer): Redis {
    const known = this.#admins.get(node);
    if (known !== undefined) return known;
    const client = node.client();
    this.#admins.set(node, client);
    return client;
  }

  #logTails(): string {
    return this.nodes.map((node) => `port ${node.port}: ${node.logTail().slice(-500)}`).join("\n");
  }
}

function evenLayout(primaries: number): string[] {
  const edge = (place: number): number => Math.round((place * SLOTS) / primaries);
  return Array.from({ length: primaries }, (_, place) => `${edge(place)}-${edge(place + 1) - 1}`);
}
