import { lookAtDeployment, type Address, type ClusterConnections, type Deployment } from "@sluice/redis";
import { Retryable } from "@sluice/runtime";
import { RedisCluster, RedisServer, SentinelServer, waitUntil } from "@sluice/testkit";
import {
  destinationRecord,
  recordKey,
  routerRecord,
  topologyRecord,
  type RouterRecord,
  type TopologyRecord,
} from "@sluice/wire";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DestinationWatch } from "./destination-watch.ts";
import { SourceWatch, type WatchDeps } from "./source-watch.ts";
import { startWatchedBus, type WatchedBus } from "./watched-bus.sample.ts";

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

let bus: WatchedBus["bus"];
let known: WatchedBus["known"];
let deps: WatchedBus["deps"];
let run: WatchedBus["run"];
let specify: WatchedBus["specify"];
let topologyWhere: WatchedBus["topologyWhere"];
let setEpoch: WatchedBus["setEpoch"];
beforeEach(async () => {
  ({ bus, known, deps, run, specify, topologyWhere, setEpoch } = await startWatchedBus(stops));
});
const portsOf = ({ shards }: TopologyRecord): number[] => shards.map(({ port }) => port);

describe("SourceWatch", () => {
  test("follows a cluster through a failover and a migration that takes its time", async () => {
    await using cluster = await RedisCluster.start({ replicas: 1 });
    specify({ url: cluster.urls[4]! }, "redis://127.0.0.1:1");
    run(new SourceWatch("p", known, deps));
    const created = await topologyWhere("the topology is written", () => true);
    const primaries = await cluster.primaries();
    expect(created).toMatchObject({ mode: "cluster", lanes: 4, events: [] });
    expect(portsOf(created)).toEqual(primaries.map(({ port }) => port));
    expect(created.shards.map(({ id, floor }) => [id, floor])).toEqual([0, 1, 2].map((number) => [`s${number}`, 0]));

    await setEpoch(5);
    const successor = await cluster.failover(primaries[0]!);
    const failedOver = await topologyWhere("the shard is read from the new primary", (now) =>
      portsOf(now).includes(successor.port),
    );
    expect(failedOver.shards).toEqual([{ ...created.shards[0]!, port: successor.port }, ...created.shards.slice(1)]);
    expect(failedOver.events).toHaveLength(1);

    const half = await cluster.moveHalf(3, primaries[1]!);
    let looks = 0;
    const counted = async (connections: ClusterConnections, seeds: readonly Address[]): Promise<Deployment> => {
      looks++;
      return lookAtDeployment(connections, seeds);
    };
    run(new SourceWatch("p", known, { ...deps, look: counted }));
    await waitUntil("the migration was looked at", () => looks >= 3);
    expect((await topologyWhere("it is there", () => true)).events).toHaveLength(1);
    await half.finish();
    const moved = await topologyWhere("the slot has moved", ({ events }) => events.length === 2);
    expect(moved.shards.map(({ slots, floor }) => `${slots} >${floor}`)).toEqual([
      "0-2,4-5460 >5",
      expect.stringMatching(/^3,.* >5$/) as string,
      expect.stringMatching(/ >0$/) as string,
    ]);
    expect(moved.events[1]?.text).toBe("slots moved: 3 from s0 to s1; copied anew: s0, s1");
  });

  test("an epoch that a shard takes by its old slots while they change is below its floor in the end", async () => {
    await using cluster = await RedisCluster.start();
    specify({ url: cluster.url }, "redis://127.0.0.1:1");
    const [first, second] = await cluster.primaries();
    const records: WatchDeps["records"] = {
      get: (key, schema) => bus.records.get(key, schema),
      compareAndSet: async (key, schema, value, revision) => {
        if (key === recordKey.topology("p") && revision > 0) await setEpoch(8);
        return bus.records.compareAndSet(key, schema, value, revision);
      },
    };
    run(new SourceWatch("p", known, { ...deps, records }));
    await topologyWhere("the topology is written", () => true);
    await cluster.moveSlots([0], first!, second!);
    const moved = await topologyWhere("floors are raised", ({ shards }) => shards[0]!.floor === 8);
    expect(moved.shards.map(({ floor }) => floor)).toEqual([8, 8, 0]);
    expect(moved.events).toHaveLength(1);
  });

  test("links to a replica while it is healthy, and to the primary when there is none", async () => {
    await using primary = await RedisServer.start();
    await using replica = await RedisServer.start({ replicaOf: primary });
    const isOnline = async (): Promise<boolean> => (await primary.client().info("replication")).includes("state=online");
    await waitUntil("the primary counts its replica", isOnline);
    // It is counted when all was sent, and healthy when that is loaded.
    await replica.waitForSync();
    known.destinations.set("main", {
      revision: 1,
      value: { mode: "standalone", nodes: [{ host: "127.0.0.1", port: 1, slots: "0-16383" }], at: 1 },
    });
    specify({ url: primary.url, read: "replica" }, "redis://127.0.0.1:1");
    run(new SourceWatch("p", known, deps));
    const created = await topologyWhere("the topology is written", () => true);
    expect([created.mode, created.lanes, portsOf(created)]).toEqual(["standalone", 1, [replica.port]]);
    await replica.kill();
    const next = await topologyWhere("the primary stands in", (now) => portsOf(now)[0] === primary.port);
    expect(next.shards[0]).toMatchObject({ id: "s0", floor: 0 });
  });

  test("asks Sentinels where the source is, follows what they say, and takes no replica for a primary", async () => {
    await using primary = await RedisServer.start();
    await using replica = await RedisServer.start({ replicaOf: primary });
    await replica.waitForSync();
    await using sentinel = await SentinelServer.start({ primary: replica });
    known.destinations.set("main", {
      revision: 1,
      value: { mode: "standalone", nodes: [{ host: "127.0.0.1", port: 1, slots: "0-16383" }], at: 1 },
    });
    specify({ url: sentinel.url.replace("127.0.0.1", "127.0.0.1:1,127.0.0.1") }, "redis://127.0.0.1:1");
    await setEpoch(4);
    run(new SourceWatch("p", known, deps));
    const told = await waitUntil("it says why it waits", async () => {
      const report = (await bus.records.get(recordKey.router("p", "source"), routerRecord))?.value;
      return report?.retry?.reason.startsWith("SRC-009") === true ? report.retry.reason : null;
    });
    expect(told).toContain(`127.0.0.1:${replica.port}, where the Sentinels say that mymaster is, says role:slave`);
    await sentinel.abandonFor(primary);
    const created = await topologyWhere("the topology is written", () => true);
    // Its destinations held marks of epoch 4 when it was created.
    expect(created.shards).toEqual([{ id: "s0", host: "127.0.0.1", port: primary.port, slots: "0-16383", floor: 4 }]);

    await setEpoch(9);
    await replica.client().replicaof("NO", "ONE");
    await sentinel.abandonFor(replica);
    const followed = await topologyWhere("the shard is read from there", (now) => portsOf(now)[0] === replica.port);
    expect(followed.shards[0]).toEqual({ ...created.shards[0], port: replica.port });
    expect(followed.events).toHaveLength(1);
  });

  test("waits for a source that is away, and for destinations that decide about lanes", async () => {
    await using source = await RedisServer.start();
    await using cluster = await RedisCluster.start();
    await source.kill();
    specify({ url: source.url }, cluster.url);
    run(new SourceWatch("p", known, deps));
    run(new DestinationWatch("p", "main", known, deps));
    const slots = await waitUntil("the destination's slots are written", () =>
      bus.records.get(recordKey.destination("p", "main"), destinationRecord),
    );
    expect(slots.value.mode).toBe("cluster");
    expect(await bus.records.get(recordKey.topology("p"), topologyRecord)).toBeNull();
    await source.restart();
    const created = await topologyWhere("the topology is written", () => true);
    expect([created.mode, created.lanes, created.shards[0]?.slots]).toEqual(["standalone", 4, "0-16383"]);

    const [first, second] = await cluster.primaries();
    await cluster.moveSlots([0, 1], first!, second!);
    await waitUntil("the destination's slots follow", async () => {
      const found = await bus.records.get(recordKey.destination("p", "main"), destinationRecord);
      return found?.value.nodes.some(({ port, slots }) => port === second!.port && slots.startsWith("0-1,")) === true;
    });
  });
});

describe("what a watch tells the operator", () => {
  const reportWhere = async (watch: string, what: string, holds: (report: RouterRecord) => boolean): Promise<RouterRecord> => {
    let last: unknown = null;
    return waitUntil(
      what,
      async () => {
        const found = await bus.records.get(recordKey.router("p", watch), routerRecord);
        last = found?.value;
        return found !== null && holds(found.value) ? found.value : null;
      },
      { details: () => JSON.stringify(last) },
    );
  };
  const isClear = ({ retry, halt }: RouterRecord): boolean => retry === null && halt === null;
  const deployment = (mode: Deployment["mode"], movingSlots: number[] = []): Deployment => {
    const primary = { id: "a", host: "127.0.0.1", port: 1, slots: "0-16383", replicas: [] };
    return { mode, primaries: [primary], idle: [], nodeIds: ["a"], movingSlots, moves: [], trouble: null };
  };

  test("a server that can't be looked at is told of, by the start that it keeps, until it can", async () => {
    await using source = await RedisServer.start();
    await using destination = await RedisServer.start();
    await source.kill();
    await destination.kill();
    specify({ url: source.url }, destination.url);
    run(new SourceWatch("p", known, deps));
    run(new DestinationWatch("p", "main", known, deps));
    const waiting = await reportWhere("source", "the source is waited for", ({ retry }) => retry !== null);
    expect(waiting).toMatchObject({ spec: 1, halt: null, retry: { endpoint: "source p" } });
    expect(waiting.retry?.reason).toMatch(/^SRC-001 .*ECONNREFUSED/);
    const other = await reportWhere("destination.main", "the destination is waited for", ({ retry }) => retry !== null);
    expect(other.retry?.reason).toMatch(/^DST-001 .*ECONNREFUSED/);
    await source.restart();
    await destination.restart();
    await reportWhere("source", "the source is there", isClear);
    await reportWhere("destination.main", "the destination is there", isClear);
  });

  test("a server of another kind than before is a halt with its code; the next start takes it back", async () => {
    specify({ url: "redis://127.0.0.1:1" }, "redis://127.0.0.1:2");
    let mode: Deployment["mode"] = "cluster";
    const look = (): Promise<Deployment> => Promise.resolve(deployment(mode));
    run(new SourceWatch("p", known, { ...deps, look }));
    run(new DestinationWatch("p", "main", known, { ...deps, look }));
    await topologyWhere("the topology is written", () => true);
    await waitUntil("the destination is known", () => known.destinations.get("main"));
    mode = "standalone";
    for (const watch of ["source", "destination.main"]) {
      const { halt } = await reportWhere(watch, `the halt of ${watch} is told`, (report) => report.halt !== null);
      expect(halt).toMatchObject({ code: "PIP-008", message: expect.stringContaining("is standalone now") as string });
      expect(halt?.remedy).not.toBe("");
    }
    mode = "cluster";
    known.spec = { ...known.spec!, revision: 2 };
    run(new SourceWatch("p", known, { ...deps, look }));
    run(new DestinationWatch("p", "main", known, { ...deps, look }));
    for (const watch of ["source", "destination.main"]) {
      expect((await reportWhere(watch, `${watch} is watched again`, isClear)).spec).toBe(2);
    }
  });

  // Mutation: source-watch.ts, `source` not written where nothing else has changed: what is held back stays so.
  test("a topology says which source it is of, also where an edited one has the same shards", async () => {
    const shards = [{ id: "s0", host: "127.0.0.1", port: 1, slots: "0-16383", floor: 0 }];
    const value: TopologyRecord = { mode: "standalone", lanes: 4, shards, source: "redis://former:1", events: [] };
    const revision = await bus.records.compareAndSet(recordKey.topology("p"), topologyRecord, value, 0);
    known.topology = { value, revision: revision! };
    specify({ url: "redis://127.0.0.1:1" }, "redis://127.0.0.1:2");
    let trouble: string | null = "nodes disagree";
    const look = (): Promise<Deployment> => Promise.resolve({ ...deployment("standalone"), trouble });
    run(new SourceWatch("p", known, { ...deps, look }));
    const waiting = await reportWhere("source", "it is told why nothing runs", ({ retry }) => retry !== null);
    expect(waiting.retry?.reason).toBe("SRC-009 nodes disagree");
    trouble = null;
    const seen = await topologyWhere("the source is seen", ({ source }) => source === "redis://127.0.0.1:1");
    expect(seen).toMatchObject({ shards, events: [] });
    await reportWhere("source", "nothing is wrong any more", isClear);
  });

  test("a source whose first look shows nothing to decide by is told of", async () => {
    specify({ url: "redis://127.0.0.1:1" }, "redis://127.0.0.1:2");
    let movingSlots = [7];
    const look = (): Promise<Deployment> => Promise.resolve(deployment("cluster", movingSlots));
    run(new SourceWatch("p", known, { ...deps, look }));
    const waiting = await reportWhere("source", "it waits", ({ retry }) => retry !== null);
    expect(waiting.retry?.reason).toBe("SRC-008 slots 7 are on their way");
    movingSlots = [];
    await topologyWhere("the topology is written", () => true);
    await reportWhere("source", "nothing is wrong any more", isClear);
  });

  test("a halt that the bus can't take is told when it is back", async () => {
    known.topology = {
      revision: 1,
      value: { mode: "cluster", lanes: 4, shards: [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }], events: [] },
    };
    specify({ url: "redis://127.0.0.1:1" }, "redis://127.0.0.1:2");
    let refusals = 0;
    const records: WatchDeps["records"] = {
      get: (key, schema) => bus.records.get(key, schema),
      compareAndSet: async (key, schema, value, revision) => {
        if (key === recordKey.router("p", "source") && refusals++ === 0) throw new Retryable("BUS-001", "bus", "away");
        return bus.records.compareAndSet(key, schema, value, revision);
      },
    };
    run(new SourceWatch("p", known, { ...deps, records, look: () => Promise.resolve(deployment("standalone")) }));
    const told = await reportWhere("source", "the halt is told", ({ halt }) => halt !== null);
    expect([told.halt?.code, refusals]).toEqual(["PIP-008", 2]);
  });
});
