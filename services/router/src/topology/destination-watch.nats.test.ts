import { RedisCluster, waitUntil } from "@sluice/testkit";
import { recordKey, topologyRecord, type CustodyRecord } from "@sluice/wire";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DestinationWatch } from "./destination-watch.ts";
import { startWatchedBus, type WatchedBus } from "./watched-bus.sample.ts";

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

let on: WatchedBus;
beforeEach(async () => {
  on = await startWatchedBus(stops);
});

/** A source of two shards that have come to epoch 4. */
async function begin(destination: RedisCluster): Promise<void> {
  const shards = ["0-8191", "8192-16383"].map((slots, index) => ({
    id: `s${index}`,
    host: "source",
    port: index,
    slots,
    floor: 0,
  }));
  const topology = { mode: "cluster" as const, lanes: 4, shards, events: [] };
  await on.bus.records.compareAndSet(recordKey.topology("p"), topologyRecord, topology, 0);
  await on.setEpoch(4);
  on.specify({ url: "redis://source:1" }, destination.url);
  // As of a router that has just taken over: the topology has not come to it yet.
  on.run(new DestinationWatch("p", "main", { ...on.known, topology: null }, on.deps));
}

const custodyWhere = (what: string, holds: (custody: CustodyRecord) => boolean): Promise<CustodyRecord> =>
  waitUntil(
    what,
    () => {
      const custody = on.known.destinations.get("main")?.value.custody;
      return custody !== undefined && holds(custody) ? custody : null;
    },
    { details: () => JSON.stringify(on.known.destinations.get("main")?.value) },
  );

// Mutations: destination-watch.ts, `#copyAnew` does nothing, or takes the topology that is known: the first does not end.
describe("case 52: slots of a destination are on their way when one of its nodes fails over", () => {
  test("the shards that they belong to are copied anew, and it is told", async () => {
    await using cluster = await RedisCluster.start({ replicas: 1 });
    const [, second] = await cluster.primaries();
    await begin(cluster);
    await custodyWhere("the cluster is known", ({ histories }) => Object.keys(histories).length === 3);
    await cluster.moveHalf(7, second!);
    await custodyWhere("the move is seen", ({ moves }) =>
      moves.some(({ slots, endedAt }) => slots === "7" && endedAt === null),
    );
    await cluster.failover(second!);
    const { shards, events } = await on.topologyWhere("a copy is asked for", ({ shards: [first] }) => first?.floor === 4);
    expect(shards.map(({ floor }) => floor)).toEqual([4, 0]);
    expect(events.map(({ text }) => text)).toEqual([
      "copied anew: s0, because slots 7 of destination main were on their way between its nodes when one of these began another history",
    ]);
  });

  // `arrived` is known a look behind the end: a node that takes over then has got it all, or is doubted.
  test("slots that move, and nodes that fail over, before or behind it, are followed without a copy", async () => {
    await using cluster = await RedisCluster.start({ replicas: 1 });
    await begin(cluster);
    const known = await custodyWhere("the cluster is known", ({ histories }) => Object.keys(histories).length === 3);
    const [first, second, third] = await cluster.primaries();
    await cluster.failover(third!);
    const namesOf = ({ owners }: CustodyRecord): string => Object.keys(owners).toSorted().join(" ");
    const after = await custodyWhere("the failover is seen", (custody) => namesOf(custody) !== namesOf(known));
    expect(after.moves).toEqual([]);
    await cluster.moveSlots([3, 4], first!, second!);
    const moved = await custodyWhere("all has arrived", ({ moves }) => moves.some(({ arrived }) => arrived !== null));
    expect(moved.moves).toMatchObject([{ slots: "3-4" }]);
    await cluster.failover(second!);
    await custodyWhere("who took over is followed", ({ moves }) => moves.some(({ to }) => to !== moved.moves[0]?.to));
    const { events, shards } = await on.topologyWhere("nothing was doubted", () => true);
    expect([events, shards.map(({ floor }) => floor)]).toEqual([[], [0, 0]]);
  });

  // Mutation: custody.ts, `hasRetired` false: the node's last slots are doubted.
  test("a node that gives its last slot away becomes a replica of who gets it, its first one: nothing is doubted", async () => {
    const layout = ["0-8191", "8192-16381", "16382-16383"];
    await using cluster = await RedisCluster.start({ layout, config: { "cluster-allow-replica-migration": "yes" } });
    await begin(cluster);
    await custodyWhere("the cluster is known", ({ histories }) => Object.keys(histories).length === 3);
    const [first, , third] = await cluster.primaries();
    const half = await cluster.moveHalf(16_382, first!);
    await custodyWhere("a move is seen", ({ moves }) => moves.some(({ endedAt }) => endedAt === null));
    await half.finish();
    await cluster.moveSlots([16_383], third!, first!);
    await waitUntil("the node follows", async () => (await third!.client().info("replication")).includes("role:slave"));
    await custodyWhere("all has arrived", ({ histories, moves }) => {
      return Object.keys(histories).length === 2 && moves.length > 0 && moves.every(({ arrived }) => arrived !== null);
    });
    const { events, shards } = await on.topologyWhere("nothing was doubted", () => true);
    expect([events, shards.map(({ floor }) => floor)]).toEqual([[], [0, 0]]);
  });
});
