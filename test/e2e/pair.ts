import {
  preload,
  RedisCluster,
  RedisServer,
  replicasOf,
  Workload,
  type OracleReplicas,
  type RedisClusterOptions,
  type WorkloadOptions,
} from "@sluice/testkit";

/** The slots of three shards, even and in order. */
export const EVEN_LAYOUT = ["0-5460", "5461-10922", "10923-16383"] as const;
/** The same slots on three shards in another way: uneven, and each in several ranges. */
export const OTHER_LAYOUT = ["0-999,8000-11000,15000-16383", "1000-4000,11001-14999", "4001-7999"] as const;

/** One side of a pipeline: a server or a cluster. */
export type Side = RedisServer | RedisCluster;

export interface SideOptions {
  readonly kind: "standalone" | "cluster";
  readonly cluster?: RedisClusterOptions;
  readonly config?: Record<string, string>;
}

/** Starts one side; whoever did stops it. */
export async function startSide({ kind, cluster, config }: SideOptions): Promise<Side> {
  if (kind === "standalone") return RedisServer.start(config === undefined ? {} : { config });
  return RedisCluster.start({ ...cluster, ...(config === undefined ? {} : { config }) });
}

/** A source with real replicas of its own as the oracle, and a destination. */
export class Pair implements AsyncDisposable {
  readonly source: Side;
  readonly destination: Side;
  readonly #oracle: RedisServer | OracleReplicas;

  private constructor(source: Side, destination: Side, oracle: RedisServer | OracleReplicas) {
    this.source = source;
    this.destination = destination;
    this.#oracle = oracle;
  }

  static async start(
    source: SideOptions = { kind: "standalone" },
    destination: SideOptions = { kind: "standalone" },
  ): Promise<Pair> {
    const [from, to] = await Promise.all([startSide(source), startSide(destination)]);
    if (from instanceof RedisCluster) return new Pair(from, to, await replicasOf(from));
    const oracle = await RedisServer.start({ replicaOf: from });
    await oracle.waitForSync();
    return new Pair(from, to, oracle);
  }

  /** Every server of the source, primaries or not. */
  get sourceNodes(): readonly RedisServer[] {
    return this.source instanceof RedisCluster ? this.source.nodes : [this.source];
  }

  /** What the source holds at the moment of the call, frozen in the replicas once the load has stopped. */
  async oracle(): Promise<RedisServer | RedisServer[]> {
    if (this.#oracle instanceof RedisServer) {
      await this.#oracle.waitForSync();
      return this.#oracle;
    }
    await this.#oracle.sync();
    return this.#oracle.servers;
  }

  async setOnSource(name: string, value: string): Promise<void> {
    await Promise.all(this.sourceNodes.map((node) => node.client().config("SET", name, value)));
  }

  /** The pipeline from one to the other; `more` goes into its destination. */
  pipeline(name: string, more: object = {}): object {
    return { name, source: { url: this.source.url }, destinations: [{ url: this.destination.url, ...more }] };
  }

  /** Whether every unit has to stay in one slot, and in database 0. */
  get isSlotted(): boolean {
    return this.source instanceof RedisCluster || this.destination instanceof RedisCluster;
  }

  /** Fills the source with keys of every type. */
  async preload(keys: number, seed: number): Promise<void> {
    const databases = this.isSlotted ? [0] : [0, 1];
    const target = this.source instanceof RedisCluster ? this.source : this.source.client();
    await preload(target, { keys, databases, seed, singleSlot: this.isSlotted });
  }

  /** A mixed load on the source, started. */
  async load(seed: number, ratePerSecond: number, weights: WorkloadOptions["weights"] = {}): Promise<Workload> {
    const { source, isSlotted } = this;
    const place = source instanceof RedisCluster ? { url: source.url, urls: source.urls, cluster: true } : { url: source.url };
    const load = new Workload({
      ...place,
      seed,
      ratePerSecond,
      databases: isSlotted ? [0] : [0, 1],
      singleSlot: isSlotted,
      weights,
    });
    await load.start();
    return load;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.#oracle, this.destination, this.source]) await one[Symbol.asyncDispose]();
  }
}
