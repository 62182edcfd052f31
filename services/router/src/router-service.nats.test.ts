import { beMember, Bus, Leases } from "@sluice/bus";
import type { Address, Deployment, Endpoint } from "@sluice/redis";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import { NatsServer, waitUntil } from "@sluice/testkit";
import {
  assignmentRecord,
  destinationRecord,
  endpointOf,
  memberRecord,
  recordKey,
  specRecord,
  stateRecord,
  topologyRecord,
  type AssignmentRecord,
  type EndpointSpec,
} from "@sluice/wire";
import { afterEach, describe, expect, test } from "vitest";
import { RouterService } from "./router-service.ts";

const log = silentLog();
const clock = systemClock;
const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };

/** Every server is a standalone one. */
const look = (_: unknown, [seed]: readonly Address[]): Promise<Deployment> => {
  const primary = { id: "run", host: seed!.host, port: seed!.port, slots: "0-16383", replicas: [] };
  return Promise.resolve({
    mode: "standalone",
    primaries: [primary],
    idle: [],
    nodeIds: ["run"],
    movingSlots: [],
    moves: [],
    trouble: null,
  });
};
const openPlain = (spec: EndpointSpec): Endpoint =>
  endpointOf(
    spec,
    (password) => password,
    () => "",
  );

describe("RouterService", () => {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).toReversed()) await stop();
  });

  async function startServer(): Promise<NatsServer> {
    const server = await NatsServer.start();
    stops.push(async () => server[Symbol.asyncDispose]());
    return server;
  }

  async function connect(server: NatsServer): Promise<Bus> {
    const bus = await Bus.connect({ url: server.url, name: "test", log });
    stops.push(() => bus.close());
    return bus;
  }

  function startRouter(bus: Bus, instance: string): () => Promise<void> {
    const stopping = new AbortController();
    const leases = new Leases(bus.records, instance, clock, log);
    const router = new RouterService({ records: bus.records, leases, clock, log, open: openPlain, look });
    const ended = Promise.all([
      supervise(router, stopping.signal, clock, log),
      beMember(bus.records, "router", instance, clock, stopping.signal),
    ]);
    const stop = async (): Promise<void> => {
      stopping.abort();
      await ended;
      leases.close();
    };
    stops.push(stop);
    return stop;
  }

  /** An instance on a connection of its own, so that it can die without a word. */
  async function startMember(server: NatsServer, service: string, instance: string) {
    const bus = await connect(server);
    const stopping = new AbortController();
    const ended = beMember(bus.records, service, instance, clock, stopping.signal);
    const leave = async (): Promise<void> => {
      stopping.abort();
      await ended;
    };
    stops.push(leave);
    return { leave, die: () => bus.close() };
  }

  async function assignmentWhere(
    bus: Bus,
    what: string,
    holds: (value: AssignmentRecord) => boolean,
  ): Promise<AssignmentRecord> {
    return waitUntil(what, async () => {
      const found = await bus.records.get(recordKey.assignment("p"), assignmentRecord);
      return found !== null && holds(found.value) ? found.value : null;
    });
  }

  const laneOf = (value: AssignmentRecord): string | undefined => value.lanes["main.s0.0"];
  /** Each is given away when an instance of its service was heard: not the same moment. */
  const isAssigned = (value: AssignmentRecord): boolean => laneOf(value) !== undefined && value.shards["s0"] !== undefined;
  const create = (bus: Bus, desired: "running" | "stopped", revision: number): Promise<number | null> =>
    bus.records.compareAndSet(recordKey.spec("p"), specRecord, { pipeline, desired, createdAt: 1 }, revision);

  test("assigns the work of a pipeline, moves it when its writer dies or leaves, and takes it back when the pipeline stops", async () => {
    const server = await startServer();
    const bus = await connect(server);
    await startMember(server, "ingest", "i0");
    const writers = new Map([
      ["w0", await startMember(server, "writer", "w0")],
      ["w1", await startMember(server, "writer", "w1")],
    ]);
    startRouter(bus, "r0");
    const spec = await create(bus, "running", 0);

    const first = await assignmentWhere(bus, "the shard has an ingest, the lane a writer", isAssigned);
    expect(first.shards).toEqual({ s0: "i0" });
    expect((await bus.records.get(recordKey.topology("p"), topologyRecord))?.value.shards).toEqual([
      { id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 },
    ]);

    const owner = laneOf(first)!;
    const other = owner === "w0" ? "w1" : "w0";
    await writers.get(owner)!.die();
    await assignmentWhere(bus, "the lane moved", (value) => laneOf(value) === other);
    await startMember(server, "writer", "w2");
    await writers.get(other)!.leave();
    await assignmentWhere(bus, "the lane moved again", (value) => laneOf(value) === "w2");

    await create(bus, "stopped", spec!);
    const stopping = await assignmentWhere(bus, "the shard is taken back", (value) => value.shards["s0"] === undefined);
    expect(laneOf(stopping)).toBe("w2");
    await bus.records.put(recordKey.state("p"), stateRecord, { state: "stopped", since: 1, reason: "" });
    await assignmentWhere(bus, "the lane is taken back", (value) => laneOf(value) === undefined);
  });

  test("a router that takes over moves nothing to an instance that died long ago, nor anything that has an owner", async () => {
    const server = await startServer();
    const bus = await connect(server);
    await startMember(server, "ingest", "i0");
    await startMember(server, "writer", "w1");
    // A leftover: its record is never renewed.
    const leftover = await startMember(server, "writer", "a-leftover");
    await waitUntil("the leftover is known", () => bus.records.get(recordKey.member("writer", "a-leftover"), memberRecord));
    await leftover.die();
    await create(bus, "running", 0);
    const stopFirst = startRouter(bus, "r0");
    const first = await assignmentWhere(bus, "the shard has an ingest, the lane a writer", isAssigned);
    expect(laneOf(first)).toBe("w1");
    const before = await bus.records.get(recordKey.assignment("p"), assignmentRecord);

    startRouter(bus, "r1");
    await stopFirst();
    await startMember(server, "writer", "a-new-one");
    // The second router has decided when it assigns another pipeline.
    const other = { ...pipeline, name: "q" };
    await bus.records.compareAndSet(recordKey.spec("q"), specRecord, { pipeline: other, desired: "running", createdAt: 1 }, 0);
    await waitUntil("the other pipeline is assigned", async () => bus.records.get(recordKey.assignment("q"), assignmentRecord));
    expect(await bus.records.get(recordKey.assignment("p"), assignmentRecord)).toEqual(before);
  });

  // Mutations: source-watch.ts and destination-watch.ts, #isDone by the mode alone: who is edited stays where it was.
  test("endpoints that were edited are looked at where they are now; a paused pipeline keeps its shard alone", async () => {
    const server = await startServer();
    const bus = await connect(server);
    await startMember(server, "ingest", "i0");
    await startMember(server, "writer", "w0");
    startRouter(bus, "r0");
    const spec = await create(bus, "running", 0);
    await assignmentWhere(bus, "the shard has an ingest, the lane a writer", isAssigned);
    const edited = { ...pipeline, source: { url: "redis://a2:2" }, destinations: [{ url: "redis://b2:2" }] };
    const value = { pipeline: edited, desired: "running" as const, createdAt: 1 };
    const again = await bus.records.compareAndSet(recordKey.spec("p"), specRecord, value, spec!);
    const topology = await waitUntil("the source is followed", async () => {
      const found = await bus.records.get(recordKey.topology("p"), topologyRecord);
      return found?.value.shards[0]?.host === "a2" ? found.value : null;
    });
    expect(topology.shards).toEqual([{ id: "s0", host: "a2", port: 2, slots: "0-16383", floor: 0 }]);
    await waitUntil("the destination is known", async () => {
      const found = await bus.records.get(recordKey.destination("p", "main"), destinationRecord);
      return found?.value.nodes[0]?.host === "b2";
    });
    await bus.records.compareAndSet(recordKey.spec("p"), specRecord, { ...value, desired: "paused" }, again!);
    const paused = await assignmentWhere(bus, "the lane is taken back", ({ lanes }) => Object.keys(lanes).length === 0);
    expect(paused.shards).toEqual({ s0: "i0" });
  });

  test("bears a restart of the bus without moving anything", async () => {
    const server = await startServer();
    const bus = await connect(server);
    await startMember(server, "ingest", "i0");
    await startMember(server, "writer", "w0");
    await startMember(server, "writer", "w1");
    startRouter(bus, "r0");
    await create(bus, "running", 0);
    await assignmentWhere(bus, "the shard has an ingest, the lane a writer", isAssigned);
    const before = await bus.records.get(recordKey.assignment("p"), assignmentRecord);

    await server.restart("SIGKILL");
    const other = { ...pipeline, name: "q" };
    await waitUntil("the bus takes records again", () =>
      bus.records.compareAndSet(recordKey.spec("q"), specRecord, { pipeline: other, desired: "running", createdAt: 1 }, 0),
    );
    await waitUntil("the router decides again", async () => bus.records.get(recordKey.assignment("q"), assignmentRecord));
    expect(await bus.records.get(recordKey.assignment("p"), assignmentRecord)).toEqual(before);
  });
});
