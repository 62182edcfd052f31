import { RedisCluster, RedisServer, replicasOf, type OracleReplicas } from "@sluice/testkit";

export const layouts = ["cluster", "standalone"] as const;
/** What source and destination are. */
export type Layout = (typeof layouts)[number];

/** The slots of the source's three primaries, and the same slots in the destination: cut otherwise, each in several ranges. */
const SOURCE_SLOTS = ["0-5460", "5461-10922", "10923-16383"] as const;
const DESTINATION_SLOTS = ["0-999,8000-11000,15000-16383", "1000-4000,11001-14999", "4001-7999"] as const;
const ALL_SLOTS = ["0-16383"] as const;

/** A source or a destination. */
export interface Side {
  readonly deployment: RedisServer | RedisCluster;
  /** The slots of each primary; one with all of them where it is no cluster. */
  readonly slots: readonly string[];
  readonly databases: readonly number[];
}

export async function startSide(layout: Layout, role: "source" | "destination"): Promise<Side> {
  if (layout === "standalone") return { deployment: await RedisServer.start(), slots: ALL_SLOTS, databases: [0, 1] };
  const slots = role === "source" ? SOURCE_SLOTS : DESTINATION_SLOTS;
  return { deployment: await RedisCluster.start({ layout: slots, primaries: slots.length }), slots, databases: [0] };
}

/** Every server of a side, as they were started. */
export function serversOf({ deployment }: Side): readonly RedisServer[] {
  return deployment instanceof RedisCluster ? deployment.nodes : [deployment];
}

/** What `preload` and `verifyCounters` take for a side. */
export function targetOf({ deployment }: Side): RedisCluster | ReturnType<RedisServer["client"]> {
  return deployment instanceof RedisCluster ? deployment : deployment.client();
}

/** A replica of each primary of the source, made by Redis itself: what the destination is compared with. */
export class Oracle implements AsyncDisposable {
  readonly #replicas: RedisServer | OracleReplicas;

  private constructor(replicas: RedisServer | OracleReplicas) {
    this.#replicas = replicas;
  }

  static async start({ deployment }: Side): Promise<Oracle> {
    if (deployment instanceof RedisCluster) return new Oracle(await replicasOf(deployment));
    return new Oracle(await RedisServer.start({ replicaOf: { port: deployment.port } }));
  }

  get servers(): readonly RedisServer[] {
    return this.#replicas instanceof RedisServer ? [this.#replicas] : this.#replicas.servers;
  }

  /** Waits until the replicas hold what the source has written. */
  async sync(): Promise<readonly RedisServer[]> {
    if (this.#replicas instanceof RedisServer) await this.#replicas.waitForSync();
    else await this.#replicas.sync();
    return this.servers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replicas[Symbol.asyncDispose]();
  }
}
