import { describe, expect, test } from "vitest";
import { keySlot, SLOTS } from "./key-slot.ts";
import { replicasOf } from "./oracle-replicas.ts";
import { RedisCluster } from "./redis-cluster.ts";
import { RedisServer } from "./redis-server.ts";

const UNEVEN = ["0-99,5000-5999", "100-4999,6000-16000", "16001-16383"];

/** A key of that slot, found by trying. */
function keyOf(slot: number, label: string): string {
  for (let number = 0; ; number++) if (keySlot(`t${number}`) === slot) return `{t${number}}${label}`;
}

describe("RedisCluster", () => {
  test("has the layout it is given, and slots move with their keys, whole and half", async () => {
    await using cluster = await RedisCluster.start({ layout: UNEVEN });
    const [first, second, third] = cluster.nodes as [RedisServer, RedisServer, RedisServer];
    expect((await cluster.slotsOf(first)).length).toBe(1100);
    expect((await cluster.slotsOf(third))[0]).toBe(16_001);
    expect(await cluster.primaryOf(5500)).toBe(first);
    expect(await cluster.primaries()).toEqual([first, second, third]);

    const client = cluster.client();
    const keys = Array.from({ length: 250 }, (_, number) => keyOf(5001, `:${number}`));
    for (const key of keys) await client.set(key, "1");
    await cluster.moveSlots([5001, 5003], first, third);
    expect(await cluster.primaryOf(5001)).toBe(third);
    expect(await third.client().dbsize()).toBe(250);
    expect(await first.client().dbsize()).toBe(0);

    const half = await cluster.moveHalf(5001, second, 60);
    expect([await third.client().dbsize(), await second.client().dbsize()]).toEqual([190, 60]);
    expect(await cluster.primaryOf(5001)).toBe(third);
    expect((await cluster.view()).length).toBe(3);
    await half.finish();
    expect(await cluster.primaryOf(5001)).toBe(second);
    expect([await third.client().dbsize(), await second.client().dbsize()]).toEqual([0, 250]);

    const added = await cluster.addNode();
    expect(cluster.nodes.at(-1)).toBe(added);
    expect(await cluster.slotsOf(added)).toEqual([]);
    await cluster.reshard(second, added, 20);
    expect((await cluster.slotsOf(added)).length).toBe(20);
    await cluster.moveSlots(4, second, added);
    expect((await cluster.slotsOf(added)).length).toBe(24);
    expect(await client.get(keys[7] ?? "")).toBe("1");
  });

  // Mutation: cluster-view.ts, `agreementText` without the epochs: of seven tries each failed, most of them within 150 moves.
  test("slots that have moved can move back at once", async () => {
    await using cluster = await RedisCluster.start({ primaries: 2 });
    const [here, there] = cluster.nodes as [RedisServer, RedisServer];
    for (let moves = 0; moves < 200; moves++) {
      await cluster.moveSlots([1, 2], here, there);
      await cluster.moveSlots([1, 2], there, here);
    }
    expect((await cluster.slotsOf(there))[0]).toBe(SLOTS / 2);
  });

  test("fails over by agreement and after a kill; replicas outside the cluster follow its primaries", async () => {
    await using cluster = await RedisCluster.start({ replicas: 1 });
    const [first, second] = cluster.nodes as [RedisServer, RedisServer];
    const [client, replica] = [cluster.client(), cluster.nodes[3]];
    await using oracle = await replicasOf(cluster);
    await client.set("{t}a", "1");
    expect(await cluster.failover(first)).toBe(replica);
    expect(await cluster.replicas(replica as RedisServer)).toEqual([first]);
    expect((await cluster.slotsOf(replica as RedisServer)).length).toBe(Math.round(SLOTS / 3));

    const successor = await cluster.killPrimary(second);
    expect(successor).toBe(cluster.nodes[4]);
    await client.set("{t}b", "1");
    await second.restart();
    await cluster.settled();
    expect(await cluster.replicas(successor)).toEqual([second]);
    await oracle.sync();
    const held = await Promise.all(oracle.servers.map((server) => server.client().keys("*")));
    expect(held.flat().toSorted()).toEqual(["{t}a", "{t}b"]);
  });

  test("with proxies: its addresses are theirs, the failover too, and the test's own clients go around them", async () => {
    await using cluster = await RedisCluster.start({ replicas: 1, isProxied: true });
    const [first, , , replica] = cluster.nodes as [RedisServer, RedisServer, RedisServer, RedisServer];
    const announced = String(await first.client().call("CLUSTER", "NODES"));
    for (const node of cluster.nodes) expect(announced).toContain(`127.0.0.1:${cluster.proxyOf(node).port}@`);
    expect(cluster.announcedUrl).toBe(`redis://127.0.0.1:${cluster.proxyOf(first).port}`);
    expect(await cluster.primaries()).toEqual(cluster.nodes.slice(0, 3));
    for (const node of cluster.nodes.slice(0, 3)) cluster.proxyOf(node).pause();
    const client = cluster.client();
    await client.set("{t}a", "1");
    for (const node of cluster.nodes) cluster.proxyOf(node).resume();
    await cluster.settled();
    expect(await cluster.failover(first)).toBe(replica);
    expect(await client.get("{t}a")).toBe("1");
  });
});
