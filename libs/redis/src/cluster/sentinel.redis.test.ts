import { RedisServer, SentinelServer, waitUntil } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import { ClusterConnections } from "./cluster-connections.ts";
import { lookAtDeployment } from "./look-at-deployment.ts";
import { lookThroughSentinels, primaryBySentinels, sentinelConnections } from "./sentinel.ts";

const at = ({ port }: { port: number }) => ({ host: "127.0.0.1", port });

describe("Sentinels", () => {
  test("lead to the primary, and after a failover to the next one; a former primary that is named is trouble", async () => {
    await using primary = await RedisServer.start();
    await using replica = await RedisServer.start({ replicaOf: primary });
    await replica.waitForSync();
    await using sentinel = await SentinelServer.start({ primary });
    const sentinels = { primary: "mymaster", servers: [{ host: "127.0.0.1", port: 1 }, at(sentinel)] };
    const asked = sentinelConnections({}, sentinels, 30_000);
    const connections = new ClusterConnections({}, 30_000);
    const look = async () => lookThroughSentinels(asked, sentinels, connections, lookAtDeployment);
    expect(await primaryBySentinels(asked, sentinels)).toEqual(at(primary));
    expect(await look()).toMatchObject({ mode: "standalone", trouble: null, primaries: [at(primary)] });

    // It is a replica now, and the Sentinel has not looked at it again.
    await primary.client().replicaof("127.0.0.1", String(replica.port));
    expect((await look()).trouble).toBe(`127.0.0.1:${primary.port}, where the Sentinels say that mymaster is, says role:slave`);
    await primary.client().replicaof("NO", "ONE");
    await replica.replicate(primary);
    await replica.waitForSync();
    await sentinel.waitForReplicas(1);
    await sentinel.failover();
    const seen = await waitUntil("the successor is found", async () => {
      const now = await look();
      return now.trouble === null && now.primaries[0]?.port === replica.port;
    });
    expect(seen).toBe(true);
    for (const each of [asked, connections]) each.close();
  });

  test("one that is cut off with the former primary is outvoted by its lower configuration epoch", async () => {
    await using primary = await RedisServer.start();
    await using replica = await RedisServer.start({ replicaOf: primary });
    await replica.waitForSync();
    await using follower = await SentinelServer.start({ primary });
    // It watches under a name of its own, so that nobody tells it of the failover: as a Sentinel behind a partition.
    await using former = await RedisServer.start();
    await using cutOff = await SentinelServer.start({ primary: former });
    await follower.waitForReplicas(1);
    await follower.failover();
    await follower.waitForSuccessor(primary.port);
    const sentinels = { primary: "mymaster", servers: [at(cutOff), at(follower)] };
    const asked = sentinelConnections({}, sentinels, 30_000);
    expect(await primaryBySentinels(asked, sentinels)).toEqual(at(replica));
    asked.close();
  });

  test("none that answers, and none that knows the name, say so", async () => {
    await using primary = await RedisServer.start();
    await using sentinel = await SentinelServer.start({ primary, password: "secret" });
    const servers = [at(sentinel), { host: "127.0.0.1", port: 1 }];
    const open = sentinelConnections({}, { primary: "other", servers, password: "secret" }, 30_000);
    await expect(primaryBySentinels(open, { primary: "other", servers })).rejects.toThrow(
      new RegExp(
        `no Sentinel tells where "other" is: 127.0.0.1:${sentinel.port} knows no primary "other"; 127.0.0.1:1: .*refused`,
        "i",
      ),
    );
    expect(await primaryBySentinels(open, { primary: "mymaster", servers })).toEqual(at(primary));
    const shut = sentinelConnections({}, { primary: "mymaster", servers }, 30_000);
    await expect(primaryBySentinels(shut, { primary: "mymaster", servers })).rejects.toThrow("NOAUTH");
    for (const each of [open, shut]) each.close();
  });
});
