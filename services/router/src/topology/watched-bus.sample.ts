import { Bus } from "@sluice/bus";
import { lookAtDeployment } from "@sluice/redis";
import { silentLog, supervise, systemClock, type Actor } from "@sluice/runtime";
import { NatsServer, waitUntil } from "@sluice/testkit";
import { endpointOf, epochRecord, pipelineSchema, recordKey, topologyRecord, type TopologyRecord } from "@sluice/wire";
import { routedFilters, takeRecord, type RoutedPipeline } from "../routed-pipeline.ts";
import type { WatchDeps } from "./source-watch.ts";

/** A bus, and the pipeline `p` as the router knows it: what watches of servers work on. */
export interface WatchedBus {
  readonly bus: Bus;
  readonly known: RoutedPipeline;
  readonly deps: WatchDeps;
  readonly run: (actor: Actor) => void;
  /** The pipeline's spec, as if it had been read. */
  readonly specify: (source: object, destination: string) => void;
  readonly topologyWhere: (what: string, holds: (topology: TopologyRecord) => boolean) => Promise<TopologyRecord>;
  readonly setEpoch: (epoch: number) => Promise<void>;
}

/** `stops` are to be called in reverse order. */
export async function startWatchedBus(stops: (() => Promise<unknown>)[]): Promise<WatchedBus> {
  const [log, clock] = [silentLog(), systemClock];
  const server = await NatsServer.start();
  stops.push(async () => server[Symbol.asyncDispose]());
  const bus = await Bus.connect({ url: server.url, name: "test", log });
  stops.push(() => bus.close());
  const known: RoutedPipeline = { spec: null, state: null, topology: null, assignment: null, destinations: new Map() };
  const pipelines = new Map([["p", known]]);
  for (const filter of routedFilters) bus.records.watch(filter, (change) => takeRecord(pipelines, change));
  const open: WatchDeps["open"] = (spec) =>
    endpointOf(
      spec,
      (password) => password,
      () => "",
    );
  return {
    bus,
    known,
    deps: { records: bus.records, clock, log, open, look: lookAtDeployment },
    run: (actor) => {
      const stopping = new AbortController();
      const ended = supervise(actor, stopping.signal, clock, log);
      stops.push(async () => {
        stopping.abort();
        await ended;
      });
    },
    specify: (source, destination) => {
      const pipeline = pipelineSchema.parse({ name: "p", source, destinations: [{ url: destination }], lanes: 4 });
      known.spec = { value: { pipeline, desired: "running", createdAt: 1 }, revision: 1 };
    },
    topologyWhere: (what, holds) => {
      let last: unknown = null;
      return waitUntil(
        what,
        async () => {
          const found = await bus.records.get(recordKey.topology("p"), topologyRecord);
          last = found?.value;
          return found !== null && holds(found.value) ? found.value : null;
        },
        { details: () => JSON.stringify(last) },
      );
    },
    setEpoch: async (epoch) => {
      const current = await bus.records.get(recordKey.epoch("p"), epochRecord);
      await bus.records.compareAndSet(recordKey.epoch("p"), epochRecord, { epoch }, current?.revision ?? 0);
    },
  };
}
