import { Connection, parseClusterNodes, parseClusterSlots, ReplyError, slotTag, type Reply } from "@sluice/redis";
import { Random, RedisCluster, type RedisServer } from "@sluice/testkit";
import { expect, test } from "vitest";
import { APPLY_SCRIPT } from "../../../services/writer/src/cluster/apply-script.ts";
import { isClose, ModelClient, shown, type Difference } from "./reply-comparison.sample.ts";
import { SimCluster } from "./sim-cluster.ts";
import { textOf } from "./sim-reply.ts";
import { SimServer } from "./sim-server.ts";

/** One slot of each node; the first is the one that moves. */
const SLOTS = [5, 16_000] as const;
const STEPS = 600;
const HISTORY = 6;

const TEMPLATES = (
  "get k|set k v|incr k|del k|del k k|mget k k|mget k x|exists k k k|rpush k v|lpop k|rename k k|expire k 1000|set x v|" +
  "mset k v k v|mset k v x v|sinterstore k k k|multi|exec|multi|exec|exec|discard|watch k|watch k x|unwatch|asking|asking|asking|asking|" +
  "select 0|select 1|ping|dbsize|readonly|readwrite|cluster keyslot k|nope|script flush|swapdb 0 1"
).split("|");

class Program {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  client(): number {
    return this.#random.between(0, 3);
  }

  next(): string[] {
    if (this.#random.chance(0.25)) return this.#script();
    return this.#words(this.#random.pick(TEMPLATES));
  }

  /** The apply script with its keys declared or not, and with keys of other slots. */
  #script(): string[] {
    const commands = ["set k v", "incr k", "del k", "rpush k v", "get k", "mget k k", "set x v", "select 1"];
    const words = Array.from({ length: this.#random.between(1, 3) }, () => this.#words(this.#random.pick(commands)));
    const keys = this.#random.chance(0.7) ? words.flatMap((command) => command.slice(1, command[0] === "mget" ? 3 : 2)) : [];
    const declared = [this.#key(0), ...keys.filter((key) => key.includes("{"))];
    const mark = String(this.#random.between(1, 3));
    return [
      "eval",
      APPLY_SCRIPT,
      String(declared.length),
      ...declared,
      this.#random.chance(0.5) ? "" : mark,
      mark,
      ...words.flatMap((command) => [String(command.length), ...command]),
    ];
  }

  #words(template: string): string[] {
    return template.split(" ").map((word, index) => {
      if (index === 0) return word;
      if (word === "k") return this.#key(this.#random.chance(0.85) ? 0 : 1);
      if (word === "x") return `elsewhere${this.#random.between(0, 3)}`;
      return word === "v" ? String(this.#random.between(0, 9)) : word;
    });
  }

  #key(place: number): string {
    return `{${slotTag(SLOTS[place] as number)}}${this.#random.between(0, 5)}`;
  }
}

/** Two nodes of a real cluster beside two of the model, with two clients for each node. */
class ClusterPair {
  readonly nodes: readonly RedisServer[];
  readonly servers: readonly SimServer[];
  readonly cluster: SimCluster;
  readonly #connections: readonly Connection[];
  readonly #clients: readonly ModelClient[];

  private constructor(nodes: readonly RedisServer[], connections: readonly Connection[], layout: readonly string[]) {
    const random = new Random(1);
    const outside = { host: "127.0.0.1", nowMs: () => Date.now(), random: () => random.fraction() };
    this.nodes = nodes;
    this.servers = nodes.map(({ port }) => new SimServer({ ...outside, name: `node ${port}`, port }));
    this.cluster = new SimCluster(this.servers, layout);
    this.#connections = connections;
    this.#clients = [0, 1, 0, 1].map((node) => new ModelClient(this.servers[node] as SimServer));
  }

  static async start(cluster: RedisCluster, layout: readonly string[]): Promise<ClusterPair> {
    const nodes = await cluster.primaries();
    const opening = [0, 1, 0, 1].map(async (node) =>
      Connection.open({ host: "127.0.0.1", port: (nodes[node] as RedisServer).port }),
    );
    return new ClusterPair(nodes, await Promise.all(opening), layout);
  }

  async both(client: number, args: readonly string[]): Promise<readonly [real: unknown, model: unknown]> {
    const real = await (this.#connections[client] as Connection).call(args).catch((cause: unknown): Reply => {
      if (cause instanceof ReplyError) return cause;
      throw cause;
    });
    const name = args[0] ?? "";
    return [shown(name, real), shown(name, (this.#clients[client] as ModelClient).ask(args))];
  }

  /** Runs a program on both: the first step whose replies differ, or null. */
  async run(program: Program): Promise<Difference | null> {
    const history: string[] = [];
    for (let step = 0; step < STEPS; step++) {
      const client = program.client();
      const args = program.next();
      const [real, model] = await this.both(client, args);
      history.push(`${client}> ${args.join(" ").replace(APPLY_SCRIPT, "apply")}  ${JSON.stringify(real)}`);
      if (!isClose(real, model)) return { real, model, history: history.slice(-HISTORY) };
    }
    return null;
  }

  /** Ends what is open, and tells the model which keys the real nodes hold of a slot. */
  async keysAt(node: number, slot: number): Promise<string[]> {
    for (const client of [0, 1, 2, 3]) await this.both(client, ["discard"]);
    const reply = await (this.#connections[node] as Connection).call(["CLUSTER", "GETKEYSINSLOT", slot, 1000]);
    return Array.isArray(reply) ? reply.map(String) : [];
  }

  /** What the nodes say of the cluster, without ids and times. */
  async views(): Promise<readonly [real: unknown, model: unknown]> {
    const real = await (this.#connections[0] as Connection).call(["CLUSTER", "NODES"]);
    const slots = await (this.#connections[0] as Connection).call(["CLUSTER", "SLOTS"]);
    const model = (this.#clients[0] as ModelClient).ask(["CLUSTER", "NODES"]);
    return [
      viewOf(String(real), slots),
      viewOf(textOf(model), (this.#clients[0] as ModelClient).ask(["CLUSTER", "SLOTS"]) as Reply),
    ];
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

function viewOf(text: string, slots: Reply): unknown {
  const nodes = parseClusterNodes(text).map(({ host, port, flags, slots: owned, movingSlots, primaryId, isLinked }) => ({
    host,
    port,
    flags: [...flags],
    owned,
    movingSlots,
    primaryId,
    isLinked,
  }));
  const announced = parseClusterSlots(slots).map(({ from, to, primary, replicas }) => [
    from,
    to,
    primary.host,
    primary.port,
    replicas.length,
  ]);
  return [nodes.toSorted((one, other) => one.port - other.port), announced];
}

test("random programs on two nodes while a slot stays, is half on its way, and has moved: the same replies", async () => {
  const layout = ["0-8191", "8192-16383"];
  await using real = await RedisCluster.start({ primaries: 2, layout });
  const pair = await ClusterPair.start(real, layout);
  const [first, second] = pair.nodes as [RedisServer, RedisServer];
  const [from, to] = pair.servers as [SimServer, SimServer];
  const [slot] = SLOTS;
  expect(await pair.run(new Program(1))).toBeNull();
  await pair.keysAt(0, slot);
  for (const key of [0, 1, 2, 3]) await pair.both(0, ["set", `{${slotTag(slot)}}${key}`, "7"]);
  const half = await real.moveHalf(slot, second, 2);
  const move = pair.cluster.moveSlot(slot, to);
  move.migrate(await pair.keysAt(1, slot));
  const [seen, modelled] = await pair.views();
  expect(modelled).toEqual(seen);
  for (const seed of [2, 3, 4]) expect(await pair.run(new Program(seed))).toBeNull();
  expect(from.keysInSlot(slot).toSorted()).toEqual((await pair.keysAt(0, slot)).toSorted());
  expect(to.keysInSlot(slot).toSorted()).toEqual((await pair.keysAt(1, slot)).toSorted());
  await pair.both(0, ["asking"]);
  await half.finish();
  move.finish();
  expect(await pair.run(new Program(5))).toBeNull();
  const [after, modelAfter] = await pair.views();
  expect(modelAfter).toEqual(after);
  pair.close();
  expect(first.isRunning).toBe(true);
});
