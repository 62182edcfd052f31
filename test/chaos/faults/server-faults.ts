import { setTimeout as sleep } from "node:timers/promises";
import { RedisCluster, type Random, type RedisServer } from "@sluice/testkit";
import { anyPrimary, keepBehind, type Side } from "../side.ts";
import type { Fault } from "./fault.ts";

/** Kills the connections that came through the proxy of a primary, at the server. */
async function killConnections(side: Side, primary: RedisServer): Promise<number> {
  const client = primary.client();
  try {
    const ports = new Set(side.proxyOf(primary).serverSidePorts);
    const list = String(await client.call("CLIENT", "LIST"));
    let killed = 0;
    for (const [, id = "", port] of list.matchAll(/^id=(\d+) addr=\S+:(\d+) /gm)) {
      if (ports.has(Number(port))) killed += Number(await client.call("CLIENT", "KILL", "ID", id));
    }
    return killed;
  } finally {
    client.disconnect();
  }
}

/** Sometimes the replica of a primary is made to lag first, so that what the primary answers meanwhile is lost. */
async function lagging(
  side: Side,
  primary: RedisServer,
  random: Random,
): Promise<readonly [told: string, catchUp: () => Promise<void>]> {
  const replica = await side.replicaOf(primary);
  const ms = random.between(100, 3000);
  if (replica === undefined || random.chance(0.3)) return ["no lag", async () => undefined];
  return [`its replica ${ms} ms behind`, await keepBehind(primary, replica, ms)];
}

/** A replica becomes primary, with or without all that the former one had answered. */
function failover(name: string, weight: number, act: (side: Side, primary: RedisServer) => Promise<void>): Fault {
  return {
    name,
    ground: "destination",
    weight,
    run: async ({ destination }, random, note) => {
      const primary = await anyPrimary(destination, random);
      const [told, catchUp] = await lagging(destination, primary, random);
      note(`${name}: port ${primary.port}, ${told}`);
      try {
        await act(destination, primary);
      } finally {
        await catchUp();
      }
      await destination.settled();
    },
  };
}

export const destinationFaults: readonly Fault[] = [
  {
    name: "destination primaries change places",
    ground: "destination",
    weight: 3,
    run: async ({ destination }, random, note) => {
      const primary = await anyPrimary(destination, random);
      note(`the replica of port ${primary.port} takes over in agreement`);
      await destination.handOver(primary);
    },
  },
  failover("a destination replica takes over by itself", 3, async (side, primary) => side.usurp(primary)),
  failover("a destination primary dies", 3, async (side, primary) => side.killPrimary(primary)),
  {
    name: "a destination primary stands still",
    ground: "destination",
    weight: 2,
    run: async ({ destination }, random, note) => {
      const primary = await anyPrimary(destination, random);
      const ms = random.between(500, 6000);
      note(`SIGSTOP of the primary on port ${primary.port} for ${ms} ms`);
      primary.pause();
      await sleep(ms);
      primary.resume();
      await destination.settled();
    },
  },
  {
    name: "destination slots move",
    ground: "destination",
    weight: 3,
    topologies: ["sc", "cc"],
    run: async ({ destination: { deployment } }, random, note) => {
      if (!(deployment instanceof RedisCluster)) throw new Error("not a cluster");
      const [from, to] = shuffled(await deployment.primaries(), random);
      if (from === undefined || to === undefined) throw new Error("fewer than two primaries");
      const slots = random.between(5, 150);
      note(`${slots} slots move from port ${from.port} to ${to.port}`);
      await deployment.moveSlots(slots, from, to);
    },
  },
  {
    name: "the destination is out of memory",
    ground: "destination",
    weight: 3,
    run: async ({ destination }, random, note) => {
      const primary = await anyPrimary(destination, random);
      const ms = random.between(500, 8000);
      note(`port ${primary.port} is out of memory for ${ms} ms`);
      const client = primary.client();
      await client.config("SET", "maxmemory", "1mb");
      await sleep(ms);
      await client.config("SET", "maxmemory", "0");
      client.disconnect();
    },
  },
  {
    name: "destination connections are killed",
    ground: "destination",
    weight: 2,
    run: async ({ destination }, random, note) => {
      const primary = await anyPrimary(destination, random);
      note(`CLIENT KILL of ${await killConnections(destination, primary)} connections at port ${primary.port}`);
      await destination.settled();
    },
  },
  {
    name: "scripts are flushed",
    ground: "destination",
    weight: 2,
    topologies: ["sc", "cc"],
    run: async ({ destination }, random, note) => {
      const primary = await anyPrimary(destination, random);
      const client = primary.client();
      await client.call("SCRIPT", "FLUSH", "SYNC");
      client.disconnect();
      note(`SCRIPT FLUSH at port ${primary.port}`);
    },
  },
];

export const sourceFaults: readonly Fault[] = [
  {
    name: "source connections are killed",
    ground: "source",
    weight: 3,
    run: async ({ source }, random, note) => {
      const primary = await anyPrimary(source, random);
      note(`CLIENT KILL of ${await killConnections(source, primary)} connections at port ${primary.port}`);
      await source.settled();
    },
  },
  {
    // In agreement, so that the oracle stays true: what the former primary answered, the successor has. One server has no replica.
    name: "source primaries change places",
    ground: "source",
    weight: 3,
    topologies: ["cc"],
    run: async ({ source }, random, note) => {
      const primary = await anyPrimary(source, random);
      note(`the replica of port ${primary.port} takes over in agreement`);
      await source.handOver(primary);
    },
  },
  {
    name: "a source forgets its history",
    ground: "source",
    weight: 1,
    run: async ({ source }, random, note) => {
      const primary = await anyPrimary(source, random);
      note(`port ${primary.port} gets another replication id and loses its replicas`);
      const client = primary.client();
      await client.call("DEBUG", "CHANGE-REPL-ID");
      await client.call("CLIENT", "KILL", "TYPE", "replica");
      client.disconnect();
      await source.settled();
    },
  },
];

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((item) => ({ item, order: random.fraction() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
