import { expect, test } from "vitest";
import { replicasOf } from "../servers/oracle-replicas.ts";
import { RedisCluster } from "../servers/redis-cluster.ts";
import { RedisServer } from "../servers/redis-server.ts";
import { compareDeployments } from "./compare-deployments.ts";

const FUNCTION = "#!lua name=extra\nredis.register_function('f', function() return 1 end)";

test("a cluster, the replicas of its primaries, a cluster of another layout and a server compare in every combination", async () => {
  const starting = [RedisCluster.start(), RedisCluster.start({ layout: ["0-3,9000-16383", "4-5000", "5001-8999"] })] as const;
  await using cluster = await starting[0];
  await using other = await starting[1];
  await using single = await RedisServer.start();
  const clients = [cluster.client(), other.client(), single.client()];
  for (const client of clients) {
    for (let number = 0; number < 600; number++) void client.rpush(`list ${number}`, "a", number);
    await client.set("expiring", "1", "PXAT", 2_840_140_800_000);
  }
  await single.client().set("sluice:{a}:mark", "1");
  await using oracle = await replicasOf(cluster);
  for (const expected of [cluster, oracle.servers, other, single]) {
    for (const actual of [cluster, other, single]) {
      const { differences, perDatabase } = await compareDeployments(expected, actual, { source: cluster });
      expect(differences).toEqual([]);
      expect(perDatabase).toEqual({ 0: { expected: 601, actual: 601 } });
    }
  }

  const [client] = clients;
  await client?.lset("list 7", 1, "x");
  await client?.del("list 8");
  await client?.set("list more", "1");
  await oracle.sync();
  const due = [
    { db: 0, key: "list 7", what: expect.stringMatching(/element 1/) },
    { db: 0, key: "list 8", what: expect.stringMatching(/^extra/) },
    { db: 0, key: "list more", what: expect.stringMatching(/^missing/) },
  ];
  for (const expected of [cluster, oracle.servers]) {
    for (const actual of [other, single]) {
      const { identical, differences } = await compareDeployments(expected, actual, { source: cluster });
      expect(identical).toBe(false);
      expect(differences.toSorted((left, right) => (left.key < right.key ? -1 : 1))).toEqual(due);
    }
  }
  const [whole, half] = [await compareDeployments(single, single), await compareDeployments(single, [single, single])];
  expect([whole.identical, half.identical]).toEqual([true, false]);
  expect(half.differences[0]).toMatchObject({ what: expect.stringMatching(/^found on .* and on /) });
});

test("a key on a node that does not own its slot, another database and a function on one node only are found", async () => {
  await using cluster = await RedisCluster.start({ primaries: 2 });
  await using single = await RedisServer.start();
  const [first, second] = cluster.nodes as [RedisServer, RedisServer];
  await cluster.client().set("foo", "1"); // slot 12182
  await single.client().set("foo", "1");
  expect((await compareDeployments(single, cluster)).differences).toEqual([]);

  const half = await cluster.moveHalf(12_182, first, 0);
  await first.client().pipeline().call("ASKING").set("foo", "2").exec();
  await first.client().call("FUNCTION", "LOAD", FUNCTION);
  await single.client(3).set("far", "1");
  const { differences } = await compareDeployments(single, cluster);
  expect(differences).toEqual([
    { db: -1, key: "extra", what: "extra function library" },
    { db: 0, key: "foo", what: `found on 127.0.0.1:${first.port}, which does not own its slot 12182` },
    { db: 3, key: "far", what: expect.stringMatching(/^missing/) },
  ]);
  expect(half.slot).toBe(12_182);
  expect(await second.client().exists("foo")).toBe(1);
});
