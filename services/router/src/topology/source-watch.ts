import type { Records } from "@sluice/bus";
import {
  ClusterConnections,
  isHealthyReplica,
  lookThroughSentinels,
  sentinelConnections,
  type Address,
  type Deployment,
  type Endpoint,
} from "@sluice/redis";
import { Halt, printable, Retryable, trustFault, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import {
  epochRecord,
  recordKey,
  shardRecord,
  SlotSet,
  topologyRecord,
  type EndpointSpec,
  type TopologyRecord,
} from "@sluice/wire";
import type { RoutedPipeline } from "../routed-pipeline.ts";
import { isElsewhere } from "../lanes/wanted-work.ts";
import { nextTopology, numberOf, raiseFloors, type Observation } from "./next-topology.ts";
import { obstacleOf, SettledLook } from "./settled-look.ts";
import { laneCount } from "./lane-count.ts";
import { WatchReport } from "./watch-report.ts";

/** How long connecting to a server and each of its answers may take. */
export const LOOK_TIMEOUT_MS = 3_000;
const LOOK_EVERY_MS = 1_000;
/** Servers that are asked in turn when those before do not answer. */
const SEEDS = 5;

export interface WatchDeps {
  readonly records: Pick<Records, "get" | "compareAndSet">;
  readonly clock: Clock;
  readonly log: Logger;
  /** An endpoint of a pipeline, ready to connect. */
  readonly open: (spec: EndpointSpec) => Endpoint;
  readonly look: (connections: ClusterConnections, seeds: readonly Address[]) => Promise<Deployment>;
}

/**
 * Keeps the topology of one pipeline equal to its source: writes it when the source is first reached, then follows failovers and
 * slots that change their owner. Where Sentinels lead to the source they are asked each time. Ends when there is nothing to follow
 * (a standalone source without Sentinels that is read from its primary).
 *
 * Floors and epochs are two records, so a shard might take an epoch by its old slots between our look at the counter and our
 * write. Therefore the counter is read again behind the write, and floors are raised until it stands still; whoever takes an
 * epoch after that reads the new topology first.
 */
export class SourceWatch implements Actor {
  readonly name: string;
  readonly #pipeline: string;
  readonly #known: RoutedPipeline;
  readonly #deps: WatchDeps;
  readonly #report: WatchReport;
  readonly #settled = new SettledLook();
  #seen: Deployment | null = null;
  #obstacle: string | null = null;

  /** `known` is kept up to date by the caller, but for our own writes. */
  constructor(pipeline: string, known: RoutedPipeline, deps: WatchDeps) {
    this.name = `source of ${pipeline}`;
    this.#pipeline = pipeline;
    this.#known = known;
    this.#deps = { ...deps, log: deps.log.child({ pipeline }) };
    this.#report = new WatchReport(pipeline, "source", known.spec?.revision ?? 0, deps);
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const source = this.#known.spec?.value.pipeline.source;
    if (source === undefined) return;
    this.#report.begin(signal);
    const endpoint = this.#deps.open(source);
    const connections = new ClusterConnections(endpoint, LOOK_TIMEOUT_MS);
    const { sentinels } = endpoint;
    const asked = sentinels === undefined ? null : sentinelConnections(endpoint, sentinels, LOOK_TIMEOUT_MS);
    const close = (): void => {
      connections.close();
      asked?.close();
    };
    signal.addEventListener("abort", close, { once: true });
    try {
      while (!signal.aborted && (asked !== null || !this.#isDone(source.read, endpoint))) {
        const deployment = await this.#look(connections, endpoint, asked);
        await this.#follow(connections, deployment, source.read);
        progress();
        this.#report.clear();
        await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
      }
      this.#report.clear();
    } finally {
      signal.removeEventListener("abort", close);
      close();
    }
  }

  retrying(fault: Fault, since: number): void {
    this.#report.retrying(fault, since);
  }

  halted(fault: Fault): void {
    this.#report.halted(fault);
  }

  /** A pipeline whose source was edited has a topology that leads to the former one. */
  #isDone(read: "primary" | "replica", { host, port }: Address): boolean {
    const topology = this.#known.topology?.value;
    if (topology?.source !== this.#known.spec?.value.pipeline.source.url) return false;
    const isThere = topology?.shards.some((shard) => shard.host === host && shard.port === port) === true;
    return topology?.mode === "standalone" && read === "primary" && isThere;
  }

  async #follow(connections: ClusterConnections, deployment: Deployment, read: "primary" | "replica"): Promise<void> {
    const current = this.#known.topology?.value ?? null;
    if (current !== null && current.mode !== deployment.mode) {
      throw new Halt("PIP-008", `the source is ${deployment.mode} now, and was ${current.mode} when the pipeline was created`);
    }
    const obstacle = obstacleOf(deployment, current);
    this.#tell(obstacle);
    if (obstacle !== null) {
      this.#settled.forget();
      // Nothing can begin before the first topology of this source: whoever waits for it is told why.
      const code = deployment.mode === "cluster" ? "SRC-008" : "SRC-009";
      const spec = this.#known.spec?.value;
      if (current === null || (spec !== undefined && isElsewhere(spec, current)))
        throw new Retryable(code, `source ${this.#pipeline}`, obstacle);
      return;
    }
    const seen = read === "replica" ? await withHealthyReplicas(connections, deployment) : withoutReplicas(deployment);
    if (!this.#settled.confirm(seen, current === null)) return;
    await this.#take(seen);
  }

  async #look(
    connections: ClusterConnections,
    { host, port, sentinels }: Endpoint,
    asked: ClusterConnections | null,
  ): Promise<Deployment> {
    const primaries = this.#seen?.primaries ?? [];
    const seeds = [
      ...primaries.slice(0, 2),
      { host, port },
      ...primaries.slice(2),
      ...primaries.flatMap(({ replicas }) => replicas),
    ];
    try {
      const seen =
        asked === null || sentinels === undefined
          ? await this.#deps.look(connections, seeds.slice(0, SEEDS))
          : await lookThroughSentinels(asked, sentinels, connections, this.#deps.look);
      this.#seen = seen;
      connections.keepOnly([{ host, port }, ...seen.primaries, ...seen.primaries.flatMap(({ replicas }) => replicas)]);
      return seen;
    } catch (cause) {
      const untrusted = trustFault(cause);
      if (untrusted !== null) throw new Halt("SRC-017", `${this.name}: ${printable(untrusted)}`, { cause });
      throw new Retryable("SRC-001", `source ${this.#pipeline}`, `the source can't be asked for its topology`, { cause });
    }
  }

  /** Writes what follows from a settled look, if anything does and we know all that it takes. */
  async #take(seen: Deployment): Promise<void> {
    const { records, clock, log } = this.#deps;
    const known = this.#known;
    const spec = known.spec?.value;
    const before = known.topology?.value ?? null;
    // What is cut stays cut so.
    const lanes = before?.lanes ?? (spec === undefined ? null : laneCount(spec.pipeline, seen.mode, known.destinations));
    if (spec === undefined || lanes === null) return;
    const { url } = spec.pipeline.source;
    const shards = seen.primaries.map(({ host, port, slots, replicas }) => ({
      primary: { host, port },
      slots: SlotSet.parse(slots),
      replicas,
    }));
    const observation = { mode: seen.mode, lanes, shards, nowMs: clock.nowMs() };
    // Shard numbers cost questions: they are asked for only when something is to be written.
    if (topologyOf(url, before, { ...observation, epoch: 0, nextShard: 0 }) === null) return;
    const nextShard = before === null ? 0 : await this.#firstUnused(before);
    let next = topologyOf(url, before, { ...observation, epoch: await this.#epoch(), nextShard });
    while (next !== null) {
      const revision = await records.compareAndSet(
        recordKey.topology(this.#pipeline),
        topologyRecord,
        next,
        known.topology?.revision ?? 0,
      );
      // Refused: somebody wrote it, and the watch will tell what.
      if (revision === null) return;
      known.topology = { value: next, revision };
      for (const { text } of next.events.slice(before?.events.length ?? 0)) log.info({ event: text }, "source changed");
      next = before === null ? null : await this.#raised(next, before);
    }
  }

  /** Null when the epoch counter stands no higher than the floors that were written. */
  async #raised(written: TopologyRecord, before: TopologyRecord): Promise<TopologyRecord | null> {
    const raised = raiseFloors(written, before, await this.#epoch());
    return raised.shards.every((shard, index) => shard.floor === written.shards[index]?.floor) ? null : raised;
  }

  /** The epoch counter; where its record is lost, at least what the shards have come to. */
  async #epoch(): Promise<number> {
    const { records } = this.#deps;
    let epoch = (await records.get(recordKey.epoch(this.#pipeline), epochRecord))?.value.epoch ?? 0;
    for (const { id } of this.#known.topology?.value.shards ?? []) {
      const shard = await records.get(recordKey.shard(this.#pipeline, id), shardRecord);
      epoch = Math.max(epoch, shard?.value.epoch ?? 0);
    }
    return epoch;
  }

  /** A shard that is gone has left its record behind: its number is not given again. */
  async #firstUnused({ shards }: TopologyRecord): Promise<number> {
    let number = Math.max(...shards.map(({ id }) => numberOf(id))) + 1;
    while ((await this.#deps.records.get(recordKey.shard(this.#pipeline, `s${number}`), shardRecord)) !== null) number++;
    return number;
  }

  #tell(obstacle: string | null): void {
    if (obstacle === this.#obstacle) return;
    if (obstacle !== null) this.#deps.log.info({ why: obstacle }, "the source's topology is left as it is");
    this.#obstacle = obstacle;
  }
}

/** As `nextTopology`, and of which source it is. */
function topologyOf(source: string, before: TopologyRecord | null, seen: Observation): TopologyRecord | null {
  const next = nextTopology(before, seen) ?? before;
  return next === null || (next === before && before.source === source) ? null : { ...next, source };
}

function withoutReplicas(seen: Deployment): Deployment {
  return { ...seen, primaries: seen.primaries.map((primary) => ({ ...primary, replicas: [] })) };
}

async function withHealthyReplicas(connections: ClusterConnections, seen: Deployment): Promise<Deployment> {
  const primaries = seen.primaries.map(async (primary) => {
    const health = await Promise.all(primary.replicas.map((replica) => isHealthyReplica(connections, replica)));
    return { ...primary, replicas: primary.replicas.filter((_, index) => health[index] === true) };
  });
  return { ...seen, primaries: await Promise.all(primaries) };
}
