import { encodeCommand, infoFields, keySlot, parseClusterNodes, slotTag } from "@sluice/redis";
import { Random } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import { ObservedStream } from "./observed-stream.sample.ts";
import { SimCluster } from "./sim-cluster.ts";
import { SimError, textOf } from "./sim-reply.ts";
import { SimServer } from "./sim-server.ts";

const LAYOUT = ["0-5460", "5461-10922", "10923-16383"];

function bench() {
  const random = new Random(1);
  const server = (port: number): SimServer =>
    new SimServer({
      name: `n${port}`,
      host: "10.0.0.1",
      port,
      nowMs: () => 1_700_000_000_000,
      random: () => random.fraction(),
    });
  const servers = [1, 2, 3].map(server) as [SimServer, SimServer, SimServer];
  return { servers, server, cluster: new SimCluster(servers, LAYOUT) };
}

function text(reply: unknown): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString("latin1");
  return reply instanceof SimError ? reply.message : reply;
}

function observe(server: SimServer): ObservedStream {
  const stream = new ObservedStream();
  server.connect({ send: (bytes) => stream.push(bytes), hangUp: () => undefined }).receive(encodeCommand(["PSYNC", "?", "-1"]));
  return stream;
}

function roleOf(server: SimServer): string {
  return infoFields(textOf(server.call(["INFO"]))).get("role") ?? "";
}

describe("a slot that moves", () => {
  test("goes over key by key, in both streams, and is served by its new owner behind it", () => {
    const { servers, cluster } = bench();
    const [first, second, third] = servers;
    const tag = slotTag(7);
    for (const name of ["a", "b"]) first.call(["SET", `{${tag}}${name}`, name, "PX", 1000]);
    const [giver, taker] = [observe(first), observe(second)];
    const move = cluster.moveSlot(7, second);
    expect(parseClusterNodes(cluster.nodesText(first)).map(({ movingSlots }) => movingSlots)).toEqual([[7], [], []]);
    expect(move.migrate(1)).toBe(1);
    expect(text(first.call(["GET", `{${tag}}a`]))).toBe("ASK 7 10.0.0.1:2");
    expect(text(first.call(["GET", `{${tag}}b`]))).toBe("b");
    expect(text(second.call(["GET", `{${tag}}a`]))).toBe("MOVED 7 10.0.0.1:1");
    second.call(["ASKING"]);
    expect(text(second.call(["GET", `{${tag}}a`]))).toBe("a");
    expect(text(first.call(["MGET", `{${tag}}a`, `{${tag}}b`]))).toBe(
      "TRYAGAIN Multiple keys request during rehashing of slot",
    );
    move.finish();
    expect(text(third.call(["GET", `{${tag}}a`]))).toBe("MOVED 7 10.0.0.1:2");
    expect(text(first.call(["GET", `{${tag}}b`]))).toBe("MOVED 7 10.0.0.1:2");
    expect(second.call(["CLUSTER", "COUNTKEYSINSLOT", 7])).toBe(2);
    expect(giver.commands.slice(1)).toEqual(["a", "b"].map((name) => ["DEL", `{${tag}}${name}`]));
    expect(taker.commands[1]?.slice(0, 3)).toEqual(["RESTORE-ASKING", `{${tag}}a`, "1700000001000"]);
    expect(taker.commands[1]?.slice(4)).toEqual(["REPLACE", "ABSTTL"]);
    expect(parseClusterNodes(cluster.nodesText(third)).map(({ slots }) => slots)).toEqual([
      "0-6,8-5460",
      "7,5461-10922",
      "10923-16383",
    ]);
  });

  test("stands where it was when it is abandoned, and stays while a node is down", () => {
    const { servers, cluster } = bench();
    const [first, second] = servers;
    const key = `{${slotTag(7)}}a`;
    first.call(["SET", key, "1"]);
    const move = cluster.moveSlot(7, second);
    second.crash();
    expect(move.migrate(10)).toBe(1);
    expect(() => move.finish()).toThrow("still has 1 keys");
    move.abandon();
    expect(text(first.call(["GET", key]))).toBe("1");
  });
});

test("a slot on its way goes on with who takes over from its ends", () => {
  const { servers, server, cluster } = bench();
  const [first, second] = servers;
  const [one, other] = [server(4), server(5)];
  for (const replica of [one, other]) cluster.add(replica);
  const links = [first.addReplica(one), second.addReplica(other)];
  const tag = slotTag(7);
  for (const name of ["a", "b"]) first.call(["SET", `{${tag}}${name}`, name]);
  const move = cluster.moveSlot(7, second);
  move.migrate(1);
  for (const link of links) link.advance("all");
  second.crash();
  cluster.failover(second, other);
  cluster.failover(first, one);
  expect(text(one.call(["GET", `{${tag}}a`]))).toBeNull();
  expect(move.migrate(0)).toBe(1);
  expect([move.from, move.to]).toEqual([one, other]);
  expect(text(one.call(["GET", `{${tag}}a`]))).toBe("ASK 7 10.0.0.1:5");
  move.finish();
  expect(text(first.call(["GET", `{${tag}}a`]))).toBe("MOVED 7 10.0.0.1:5");
  expect(other.call(["MGET", `{${tag}}a`, `{${tag}}b`])).toEqual([Buffer.from("a"), Buffer.from("b")]);
});

describe("a failover", () => {
  test("of a primary that died loses what its replica had not applied; when it is back it follows", () => {
    const { servers, server, cluster } = bench();
    const [first, second] = servers;
    const replica = server(4);
    cluster.add(replica);
    const link = first.addReplica(replica);
    const key = `{${slotTag(7)}}list`;
    for (const item of ["a", "b", "c"]) first.call(["RPUSH", key, item]);
    link.advance(2);
    first.crash();
    cluster.fail(first);
    expect(text(second.call(["GET", `{${slotTag(6000)}}x`]))).toBe("CLUSTERDOWN The cluster is down");
    cluster.failover(first, replica);
    cluster.release(first);
    expect(text(second.call(["LLEN", key]))).toBe("MOVED 7 10.0.0.1:4");
    expect(replica.call(["LLEN", key])).toBe(1);
    first.restart("same");
    expect(roleOf(first)).toBe("slave");
    replica.replicas[0]?.advance("all");
    expect(first.entries()).toEqual(replica.entries());
    expect(cluster.nodesText(first)).toContain(`myself,slave ${replica.nodeId}`);
  });

  test("behind the back of a primary that runs: it goes on alone until it hears of it", () => {
    const { servers, server, cluster } = bench();
    const [first, second] = servers;
    const replica = server(4);
    cluster.add(replica);
    first.addReplica(replica).advance("all");
    cluster.hold(first);
    cluster.failover(first, replica);
    const key = `{${slotTag(7)}}k`;
    expect(first.call(["SET", key, "old"])).toBe("OK");
    expect(text(second.call(["SET", key, "x"]))).toBe("MOVED 7 10.0.0.1:4");
    expect(replica.call(["SET", key, "new"])).toBe("OK");
    cluster.release(first);
    expect(text(first.call(["GET", key]))).toBe("MOVED 7 10.0.0.1:4");
    expect(text(first.entries().get(key)?.value.type)).toBe("string");
    expect(first.entries()).toEqual(replica.entries());
  });

  test("by hand swaps the roles at once; replicas that are left follow the new primary", () => {
    const { servers, server, cluster } = bench();
    const [first] = servers;
    const [one, other] = [server(4), server(5)];
    for (const replica of [one, other]) {
      cluster.add(replica);
      first.addReplica(replica).advance("all");
    }
    cluster.failover(first, one);
    expect([first, one, other].map(roleOf)).toEqual(["slave", "master", "slave"]);
    expect(one.replicas.map((link) => link.server.name).toSorted()).toEqual(["n1", "n5"]);
    expect(first.replicas).toEqual([]);
    first.call(["READONLY"]);
    expect(first.call(["GET", `{${slotTag(7)}}k`])).toBeNull();
    first.call(["READWRITE"]);
    expect(text(first.call(["GET", `{${slotTag(7)}}k`]))).toBe("MOVED 7 10.0.0.1:4");
  });
});

test("keys are found by their slot, whatever put them there", () => {
  const { servers } = bench();
  const [first] = servers;
  const key = (name: string): string => `{${slotTag(7)}}${name}`;
  first.call(["SET", key("a"), "1"]);
  first.call(["RENAME", key("a"), key("b")]);
  first.call(["RPUSH", key("c"), "1"]);
  first.call(["LPOP", key("c")]);
  expect(first.call(["CLUSTER", "KEYSLOT", key("a")])).toBe(keySlot(Buffer.from(key("a"))));
  expect(first.call(["CLUSTER", "GETKEYSINSLOT", 7, 10])).toEqual([Buffer.from(key("b"))]);
  first.call(["FLUSHALL"]);
  expect(first.call(["CLUSTER", "COUNTKEYSINSLOT", 7])).toBe(0);
});
