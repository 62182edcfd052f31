import { createHash } from "node:crypto";
import { Bus } from "@sluice/bus";
import { encodeCommand, keySlot } from "@sluice/redis";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisCluster, RedisServer, waitUntil } from "@sluice/testkit";
import { ChangeFlag, ChangeRows } from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ReplyTamperer } from "./apply/reply-tamperer.sample.ts";
import { Projection } from "./project/projection.ts";
import { WatchedLane } from "./watched-lane.sample.ts";

/** A server that knows what no table of ours does. */
const config = { "rename-command": "RPUSH FOO.PUSH" };
const keyed = (line: string) => ({ commands: [`SLUICE.KEYED 1 ${line}`], flags: ChangeFlag.keyed });

let nats: NatsServer;
let redis: RedisServer;
let cluster: RedisCluster;
let bus: Bus;

beforeAll(async () => {
  [nats, redis, cluster] = await Promise.all([
    NatsServer.start(),
    RedisServer.start({ config }),
    RedisCluster.start({ primaries: 2, config }),
  ]);
  bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
});

afterAll(async () => {
  await bus.close();
  await Promise.all([nats, redis, cluster].map(async (server) => server[Symbol.asyncDispose]()));
});

async function serversOf(mode: "standalone" | "cluster"): Promise<RedisServer[]> {
  return mode === "standalone" ? [redis] : cluster.primaries();
}

async function ask(mode: "standalone" | "cluster", ...args: readonly string[]): Promise<unknown> {
  for (const server of await serversOf(mode)) {
    const [name = "", ...rest] = args;
    const reply = await server
      .client()
      .call(name, rest)
      .catch((cause: unknown) => String(cause));
    if (!String(reply).includes("MOVED")) return reply;
  }
  return null;
}

// Mutations: plan-changes.ts and group-plan.ts send the carrier as it stands (DST-002, DST-007); command-scope.ts finds no keys for it
// (PIP-015); group-sender.ts, `failedBehindMark` without the command's name.
test.each(["standalone", "cluster"] as const)(
  "applied-once: a write that only its source knows is applied in a %s that knows it, and halts the lane in one that does not",
  async (mode) => {
    await using lane = await WatchedLane.open(bus);
    lane.projection = Projection.of({}, { keys: { include: ["k*", "n"], exclude: [] } }) ?? undefined;
    const [first] = await serversOf(mode);
    lane.write(mode, first?.port ?? 0);
    await waitUntil("it is live", async () => lane.isAt(100));
    await lane.changes(
      100,
      { end: 110, ...keyed("FOO.PUSH k1 a b") },
      { end: 120, commands: ["INCR n"] },
      { end: 130, ...keyed("FOO.PUSH other a") },
      { end: 140, ...keyed("FOO.PUSH k2 c") },
      { end: 150, ...keyed("foo.push k1 d") },
    );
    await waitUntil("it is applied", async () => lane.isAt(150));
    expect(await ask(mode, "LRANGE", "k1", "0", "-1")).toEqual(["a", "b", "d"]);
    expect(await ask(mode, "LRANGE", "k2", "0", "-1")).toEqual(["c"]);
    expect([await ask(mode, "GET", "n"), await ask(mode, "EXISTS", "other")]).toEqual(["1", 0]);
    await lane.changes(150, { end: 160, commands: ["INCR n"] }, { end: 170, ...keyed("BAR.PUSH k1 e") });
    await lane.ended();
    const halt = (await lane.record())?.halt;
    expect(halt?.code).toBe(mode === "standalone" ? "DST-002" : "DST-007");
    expect(halt?.message).toContain("BAR.PUSH");
    expect(await ask(mode, "GET", "n")).toBe("2");
  },
);

// Mutations: everywhere.ts tells the first node only; `repeatable` gives the command as it is (DST-002 behind the restart).
test("functions and scripts of the source's one lane reach every node of a cluster, and may come again", async () => {
  await using lane = await WatchedLane.open(bus);
  const nodes = await cluster.primaries();
  const port = nodes[0]?.port ?? 0;
  lane.write("cluster", port);
  await waitUntil("it is live", async () => lane.isAt(100));
  const library = (answer: number): string =>
    `#!lua name=lib\nredis.register_function('f', function(keys, args) return ${answer} end)`;
  const commands = [
    ["FUNCTION", "LOAD", library(1)],
    ["FUNCTION", "LOAD", "REPLACE", library(2)],
    ["FUNCTION", "LOAD", library(0).replaceAll(/lib|'f'/g, (word) => (word === "lib" ? "gone" : "'g'"))],
    ["FUNCTION", "DELETE", "gone"],
    ["SCRIPT", "LOAD", "return 7"],
    ["SET", "k", "1"],
  ];
  const rows = new ChangeRows();
  for (const [index, args] of commands.entries()) {
    const flags = ChangeFlag.first | ChangeFlag.last | (args[0] === "FUNCTION" ? ChangeFlag.barrier : 0);
    rows.add(encodeCommand(args).length, args.length, (index + 1) * 10, 0, args[0] === "SET" ? 0 : 3, flags, 4);
  }
  const body = Buffer.concat(commands.map((args) => encodeCommand(args)));
  await lane.append({ previous: 100, last: 160, rows, body });
  await waitUntil("it is applied", async () => lane.isAt(160));
  const told = async (): Promise<unknown[]> =>
    Promise.all(
      nodes.map(async (node) => {
        const client = node.client();
        const libraries = (await client.call("FUNCTION", "LIST")) as unknown[];
        const known = await client.call("SCRIPT", "EXISTS", createHash("sha1").update("return 7").digest("hex"));
        return [libraries.length, await client.call("FCALL", "f", "0"), known];
      }),
    );
  expect(await told()).toEqual(nodes.map(() => [1, 2, [1]]));
  await lane.stop();
  lane.write("cluster", port);
  await lane.changes(160, { end: 170, commands: ["SET k 2"] });
  await waitUntil("it goes on", async () => lane.isAt(170));
  expect(await told()).toEqual(nodes.map(() => [1, 2, [1]]));
});

// Mutations: plan-changes.ts sends PUBLISH outside the transaction; group-plan.ts, PUBLISH to `#keysOf` (PIP-004).
test.each(["standalone", "cluster"] as const)(
  "a message reaches the subscribers of a %s once, also where the answer is lost",
  async (mode) => {
    await using lane = await WatchedLane.open(bus);
    const [first] = await serversOf(mode);
    const subscriber = first?.client().duplicate();
    const heard: string[] = [];
    subscriber?.on("message", (_: string, message: string) => heard.push(message));
    await subscriber?.subscribe("c");
    await using tamperer = await ReplyTamperer.start(first?.port ?? 0);
    lane.write(mode, mode === "standalone" ? tamperer.port : (first?.port ?? 0));
    await waitUntil("it is live", async () => lane.isAt(100));
    await lane.changes(
      100,
      { end: 110, commands: ["PUBLISH c one"] },
      { end: 120, commands: ["PUBLISH c two", "SET k 1", "PUBLISH c three"] },
    );
    await waitUntil("it is applied", async () => lane.isAt(120));
    if (mode === "standalone") {
      tamperer.tamper = ({ args }) => (args[0] === "EXEC" ? { drop: true } : null);
      await lane.changes(120, { end: 130, commands: ["PUBLISH c four"] });
      await waitUntil("it is said, and nobody knows", () => heard.includes("four"));
      await lane.stop();
      tamperer.tamper = () => null;
      lane.write(mode, tamperer.port);
      await lane.changes(130, { end: 140, commands: ["PUBLISH c five"] });
      await waitUntil("it goes on", async () => lane.isAt(140));
    }
    await waitUntil("the last is heard", () => heard.includes(mode === "standalone" ? "five" : "three"));
    expect(heard).toEqual(["one", "two", "three", ...(mode === "standalone" ? ["four", "five"] : [])]);
    subscriber?.disconnect();
  },
);

// Mutations: part-assembly.ts gives each part as a unit of its own; apply-script.ts, `fitsScript` whatever the number of arguments.
test.each(["standalone", "cluster"] as const)(
  "unit-never-split: 100 000 commands of one transaction, in parts, are applied at once to a %s",
  async (mode) => {
    await using lane = await WatchedLane.open(bus);
    const [first] = await serversOf(mode);
    lane.write(mode, first?.port ?? 0);
    await waitUntil("it is live", async () => lane.isAt(100));
    const slot = keySlot(Buffer.from("t"));
    const parts = 10;
    const seen = new Set<string>();
    for (let index = 0; index < parts; index++) {
      const rows = new ChangeRows();
      const bodies: Buffer[] = [];
      for (let n = 0; n < 10_000; n++) {
        const body = encodeCommand(n % 2 === 0 ? ["INCR", "{t}n"] : ["SADD", "{t}s", index * 10_000 + n]);
        const edge = (index + n === 0 ? ChangeFlag.first : 0) | (index === 9 && n === 9_999 ? ChangeFlag.last : 0);
        rows.add(body.length, n % 2 === 0 ? 2 : 3, 0, slot, 0, edge, 4);
        bodies.push(body);
      }
      const final = index === parts - 1;
      await lane.append({
        previous: 100,
        last: final ? 200 : 100,
        rows,
        body: Buffer.concat(bodies),
        part: { id: 100, index, final },
      });
      if (!final) seen.add(String(await ask(mode, "GET", "{t}n")));
    }
    await waitUntil("it is applied", async () => {
      const isThere = await lane.isAt(200);
      seen.add(String(await ask(mode, "GET", "{t}n")));
      return isThere;
    });
    expect(await ask(mode, "SCARD", "{t}s")).toBe(50_000);
    expect([...seen].toSorted()).toEqual(["50000", "null"]);
  },
);
