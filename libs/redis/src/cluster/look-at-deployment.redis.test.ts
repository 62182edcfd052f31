import { RedisCluster, RedisServer, waitUntil } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import { ClusterConnections } from "./cluster-connections.ts";
import { slotsWithoutOwner } from "./deployment.ts";
import { isHealthyReplica, lookAtDeployment } from "./look-at-deployment.ts";

const at = ({ port }: { port: number }) => ({ host: "127.0.0.1", port });

describe("lookAtDeployment", () => {
  test("a standalone server owns all slots; only replicas that listen are its replicas", async () => {
    await using primary = await RedisServer.start();
    await using replica = await RedisServer.start({ replicaOf: primary });
    await replica.waitForSync();
    const connections = new ClusterConnections({}, 30_000);
    const seen = await waitUntil("the primary counts its replica", async () => {
      const now = await lookAtDeployment(connections, [{ host: "127.0.0.1", port: 1 }, at(primary)]);
      return now.primaries[0]?.replicas.length === 1 ? now : null;
    });
    expect(seen).toMatchObject({ mode: "standalone", movingSlots: [], trouble: null });
    const replicas = [{ ...at(replica), id: `127.0.0.1:${replica.port}` }];
    expect(seen.primaries).toEqual([{ id: seen.nodeIds[0], ...at(primary), slots: "0-16383", replicas }]);
    expect(await isHealthyReplica(connections, at(replica))).toBe(true);
    expect(await isHealthyReplica(connections, at(primary))).toBe(false);
    await replica.kill();
    expect(await isHealthyReplica(connections, at(replica))).toBe(false);
    connections.close();
    await expect(lookAtDeployment(connections, [at(primary)])).rejects.toThrow("aborted");
  });

  test("sees a cluster from any node, what is on its way, and a failover", async () => {
    const layout = ["0-5460", "5461-10922", "10923-16383"];
    await using cluster = await RedisCluster.start({ replicas: 1, layout });
    const connections = new ClusterConnections({}, 30_000);
    const [first, second] = await cluster.primaries();
    const seen = await lookAtDeployment(connections, [at(cluster.nodes[5]!)]);
    expect(seen.primaries.map(({ slots, replicas }) => [slots, replicas.length])).toEqual(layout.map((slots) => [slots, 1]));
    expect(seen).toMatchObject({ mode: "cluster", movingSlots: [], trouble: null });
    expect(seen.nodeIds).toHaveLength(6);
    expect(await lookAtDeployment(connections, [at(first!)])).toEqual(seen);

    const half = await cluster.moveHalf(7, second!);
    expect((await lookAtDeployment(connections, [at(cluster.nodes[2]!)])).movingSlots).toEqual([7]);
    await half.finish();
    const moved = await lookAtDeployment(connections, [at(first!)]);
    expect(moved.primaries.map(({ slots }) => slots)).toEqual(["0-6,8-5460", "7,5461-10922", "10923-16383"]);

    await first!.kill();
    const down = await lookAtDeployment(connections, [at(first!), at(second!)]);
    expect(down.trouble).toContain(`127.0.0.1:${first!.port}`);
    const after = await waitUntil("a replica serves the slots", async () => {
      const now = await lookAtDeployment(connections, [at(first!), at(second!)]);
      return now.trouble === null ? now : null;
    });
    expect(slotsWithoutOwner(after.primaries)).toBe("");
    expect(after.primaries.map(({ port }) => port)).not.toContain(first!.port);
    connections.close();
  });
});
