import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  NatsServer,
  preload,
  RedisCluster,
  RedisServer,
  replicasOf,
  Workload,
  type OracleReplicas,
  type WorkloadOptions,
} from "@sluice/testkit";
import { EVEN_LAYOUT, OTHER_LAYOUT } from "../e2e/pair.ts";
import type { Topology } from "./faults/fault.ts";
import { MarkHistory } from "./mark-history.ts";
import { NodeRecorder } from "./node-recorder.ts";
import { ClusterSide, ServerSide, type Side } from "./side.ts";
import { SupervisedServices, type ServiceCounts } from "./supervised-services.ts";

/** So that a link that was away for half a minute goes on without another copy. */
const SOURCE_CONFIG = { "repl-backlog-size": "64mb" };

/** States of a pipeline that has never run. */
const UNSTARTED: ReadonlySet<string> = new Set(["created", "prechecking", "blocked", "ready"]);

/** The name of a run's pipeline. */
export const PIPELINE = "orders";

export interface StageOptions {
  readonly topology: Topology;
  readonly seed: number;
  readonly keys: number;
  readonly ratePerSecond: number;
  readonly services: ServiceCounts;
}

type StageParts = Pick<Stage, "source" | "destination" | "nats" | "services" | "recorders" | "logDir" | "load">;

/** Everything that takes part in a run. */
export class Stage implements AsyncDisposable {
  readonly source: Side;
  readonly destination: Side;
  readonly nats: NatsServer;
  readonly services: SupervisedServices;
  /** One for each server of the destination. */
  readonly recorders: readonly NodeRecorder[];
  readonly logDir: string;
  readonly load: Workload;
  readonly #oracle: RedisServer | OracleReplicas;
  /** What is disposed of at the end, in reverse. */
  readonly #opened: readonly AsyncDisposable[];

  private constructor(parts: StageParts, oracle: RedisServer | OracleReplicas, opened: readonly AsyncDisposable[]) {
    this.source = parts.source;
    this.destination = parts.destination;
    this.nats = parts.nats;
    this.services = parts.services;
    this.recorders = parts.recorders;
    this.logDir = parts.logDir;
    this.load = parts.load;
    this.#oracle = oracle;
    this.#opened = opened;
  }

  /** Resolves when the source is filled, the load runs and the pipeline has been created. */
  static async start(options: StageOptions): Promise<Stage> {
    const opened: AsyncDisposable[] = [];
    try {
      return await Stage.#open(options, opened);
    } catch (error) {
      await disposeAll(opened);
      throw error;
    }
  }

  static async #open(options: StageOptions, opened: AsyncDisposable[]): Promise<Stage> {
    const use = <T extends AsyncDisposable>(part: T): T => {
      opened.push(part);
      return part;
    };
    const { topology, seed, ratePerSecond } = options;
    const source = use(await startSource(topology));
    const destination = use(await startDestination(topology));
    const nats = use(await NatsServer.start());
    const oracle = use(await oracleOf(source.deployment));
    const databases = topology === "ss" ? [0, 1] : [0];
    const singleSlot = topology !== "ss";
    const target = source.deployment instanceof RedisCluster ? source.deployment : source.deployment.client();
    await preload(target, { keys: options.keys, databases, seed, singleSlot });
    const load = use(new Workload({ ...placeOf(source.deployment), seed, ratePerSecond, databases, singleSlot }));
    await load.start();
    const recorders = destination.nodes.map(({ port }) =>
      use(new NodeRecorder(port, new MarkHistory(`port ${port}`, topology !== "ss"))),
    );
    const logDir = await mkdtemp(join(tmpdir(), "sluice-chaos-"));
    const services = use(await SupervisedServices.start(nats.port, options.services, logDir));
    await services.status.create({ name: PIPELINE, source: { url: source.url }, destinations: [{ url: destination.url }] });
    // A check that a fault meets blocks the pipeline before it ever ran, as it should.
    await services.status.until(PIPELINE, "started", ({ state }) => !UNSTARTED.has(state));
    const parts = { source, destination, nats, services, recorders, logDir, load };
    return new Stage(parts, oracle, opened);
  }

  /** Ends every fault of a link. */
  async calm(): Promise<void> {
    const buses = this.services.names.map((name) => this.services.busOf(name));
    for (const proxy of [...this.source.proxies, ...this.destination.proxies, ...buses]) await proxy.clear();
    await Promise.all([this.source.settled(), this.destination.settled()]);
  }

  /** What the source holds; the load must have ended. */
  async oracle(): Promise<RedisServer | RedisServer[]> {
    if (this.#oracle instanceof RedisServer) {
      await this.#oracle.waitForSync();
      return this.#oracle;
    }
    await this.#oracle.sync();
    return this.#oracle.servers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll(this.#opened);
  }
}

async function startSource(topology: Topology): Promise<Side> {
  return topology === "cc" ? ClusterSide.start(1, EVEN_LAYOUT, SOURCE_CONFIG) : ServerSide.start(0, SOURCE_CONFIG);
}

async function startDestination(topology: Topology): Promise<Side> {
  return topology === "ss" ? ServerSide.start(1, {}) : ClusterSide.start(1, OTHER_LAYOUT, {});
}

async function oracleOf(source: RedisServer | RedisCluster): Promise<RedisServer | OracleReplicas> {
  if (source instanceof RedisCluster) return replicasOf(source);
  const oracle = await RedisServer.start({ replicaOf: source });
  await oracle.waitForSync();
  return oracle;
}

function placeOf(source: RedisServer | RedisCluster): Pick<WorkloadOptions, "url" | "urls" | "cluster" | "directPorts"> {
  if (source instanceof RedisServer) return { url: source.url };
  return { url: source.url, urls: source.urls, cluster: true, directPorts: source.directPorts };
}

async function disposeAll(parts: readonly AsyncDisposable[]): Promise<void> {
  for (const part of parts.toReversed()) await part[Symbol.asyncDispose]();
}
