import {
  ClusterConnections,
  endpointName,
  lookAtDeployment,
  primaryBySentinels,
  sentinelConnections,
  type Address,
  type Deployment,
  type Endpoint,
} from "@sluice/redis";
import { ServerFailure } from "./server-failure.ts";
import { ServerProbe } from "./server-probe.ts";

/** How long a server may take to be reached and for each answer while the deployment is looked at. */
const LOOK_TIMEOUT_MS = 5_000;

/** A standalone server, a cluster, or what Sentinels lead to, with a probe for each of its servers. Facts are read once. */
export class DeploymentProbe {
  /** `source`, `destination main` */
  readonly name: string;
  /** As the pipeline names it. */
  readonly endpoint: Endpoint;
  readonly signal: AbortSignal;
  readonly #servers = new Map<string, ServerProbe>();
  #seed: Promise<ServerProbe> | null = null;
  #deployment: Promise<Deployment> | null = null;

  constructor(name: string, endpoint: Endpoint, signal: AbortSignal) {
    this.name = name;
    this.endpoint = endpoint;
    this.signal = signal;
  }

  /** The server that the pipeline names, or that its Sentinels do. Throws `ServerFailure` when no Sentinel tells. */
  async seed(): Promise<ServerProbe> {
    this.#seed ??= this.#findSeed();
    return this.#seed;
  }

  /** Throws `ServerFailure`, and `Error` where a cluster can't be looked at. */
  async deployment(): Promise<Deployment> {
    this.#deployment ??= this.#look();
    return this.#deployment;
  }

  async isCluster(): Promise<boolean> {
    return (await (await this.seed()).state()).isCluster;
  }

  /** Every primary that owns slots; of what is no cluster the one server. Throws as `deployment`. */
  async primaries(): Promise<ServerProbe[]> {
    const { primaries } = await this.deployment();
    return primaries.map((primary) => {
      const server = this.#serverAt(primary);
      server.slots = primary.slots;
      return server;
    });
  }

  /** Replicas that the primaries tell of. Throws as `deployment`. */
  async replicas(): Promise<ServerProbe[]> {
    const { primaries } = await this.deployment();
    return primaries.flatMap(({ replicas }) => replicas.map((replica) => this.#serverAt(replica)));
  }

  /** How a server is called in results: by its address, too, where there are several. */
  async labelOf(server: ServerProbe): Promise<string> {
    return (await this.isCluster()) || server !== (await this.seed()) ? `${this.name} ${server.name}` : this.name;
  }

  async #findSeed(): Promise<ServerProbe> {
    const { sentinels } = this.endpoint;
    if (sentinels === undefined) return this.#serverAt(this.endpoint);
    const connections = sentinelConnections(this.endpoint, sentinels, LOOK_TIMEOUT_MS);
    try {
      return this.#serverAt(await primaryBySentinels(connections, sentinels));
    } catch (cause) {
      throw new ServerFailure(this.name, endpointName(this.endpoint), cause);
    } finally {
      connections.close();
    }
  }

  async #look(): Promise<Deployment> {
    const seed = await this.seed();
    // A server that can't be asked at all is told apart from a cluster that is not whole.
    await seed.state();
    const connections = new ClusterConnections(seed.endpoint, LOOK_TIMEOUT_MS);
    const close = (): void => connections.close();
    this.signal.addEventListener("abort", close, { once: true });
    try {
      return await lookAtDeployment(connections, [seed.endpoint]);
    } finally {
      this.signal.removeEventListener("abort", close);
      connections.close();
    }
  }

  #serverAt({ host, port }: Address): ServerProbe {
    const { sentinels: _, ...rest } = this.endpoint;
    const endpoint = { ...rest, host, port };
    const name = endpointName(endpoint);
    const known = this.#servers.get(name);
    if (known !== undefined) return known;
    const server = new ServerProbe(this.name, endpoint, this.signal);
    this.#servers.set(name, server);
    return server;
  }
}
