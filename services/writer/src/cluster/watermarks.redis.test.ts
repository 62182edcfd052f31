import { slotTag } from "@sluice/redis";
import { RedisServer, type RedisCluster } from "@sluice/testkit";
import { laneMarkKey, slotMarkKey, SlotSet, type Position } from "@sluice/wire";
import { afterEach, expect, test } from "vitest";
import type { SourceLane } from "../repair/source-lane.sample.ts";
import type { ClusterLane } from "./cluster-lane.ts";
import { faultOf, TamperedCluster } from "./tampered-cluster.sample.ts";

/** A few slots on each of the two nodes. */
const SLOTS = SlotSet.parse("0-4,16379-16383");
/** Those that tests move from the first node to the second. */
const MOVED = [1, 2];
const [HERE, NEXT] = [0, 1].map((slot) => slotTag(slot)) as [string, string];
const markOf = (slot: number): string => slotMarkKey(slotTag(slot), "p", "main");
const watermarkOf = (slot: number): string => laneMarkKey(slotTag(slot), "p", "main", "s0", 0);

let destination: TamperedCluster;
let cluster: RedisCluster;
let source: SourceLane<RedisServer>;
let [first, second]: RedisServer[] = [];

TamperedCluster.forThisFile(SLOTS, (started) => {
  destination = started;
  ({ nodes: cluster, source } = destination);
  [first, second] = cluster.nodes;
});

afterEach(async () => {
  if ((await cluster.primaryOf(1)) === second) await move(second, first);
});

const node = (server = first) => (server as RedisServer).client();
const move = async (from = first, to = second): Promise<void> =>
  cluster.moveSlots(MOVED, from as RedisServer, to as RedisServer);
const open = async (): Promise<ClusterLane> => destination.open(source.repair("halt").repair);

async function live(at: Position): Promise<ClusterLane> {
  const lane = await open();
  await lane.claim({ ...at, phase: "snap", offset: 0 });
  await lane.goLive(at);
  return lane;
}

/** The next group of a lane behind whose last watermarks a minute has gone by: it is to raise them. */
async function due(lane: ClusterLane): Promise<unknown> {
  destination.monotonicMs += 60_000;
  return faultOf(lane.applyChanges({ slices: [], target: source.position }));
}

// Mutation: cluster-lane.ts, `confirm` raises watermarks only for nodes that lack one: sequence 1 for ever, and nobody knows that
// the lane has applied its last message.
test("a lane that stands still tells that it is as far as its last message, once it was asked to confirm", async () => {
  const lane = await live(source.position);
  await source.write(`INCR {${HERE}}n`);
  const group = source.group();
  await lane.applyChanges(group);
  expect(lane.safeSequence).toBeLessThan(group.target.sequence);
  await lane.confirm();
  expect(lane.safeSequence).toBe(group.target.sequence);
  lane.close();
});

// Mutation: watermarks.ts, RAISE does not compare the mark: a former writer takes the next one's watermark back.
test("marks-only-grow, one-writer-per-lane: a watermark that another writer has set stays", async () => {
  const lane = await live(source.position);
  await source.write(`INCR {${HERE}}n`);
  await lane.applyChanges(source.group());
  const key = watermarkOf(0);
  const [own, theirs] = [(await node().get(key)) ?? "", "1|1|1|live|s0|900000|9"];
  await node().set(key, theirs);
  // It moved behind the look of the former one.
  destination.tamperWith(({ args }) => (args[0] === "GET" && args[1] === key ? `$${own.length}\r\n${own}` : null));
  expect(await faultOf(lane.confirm())).toMatchObject({ name: "Retryable", code: "DST-008" });
  expect(await node().get(key)).toBe(theirs);
  lane.close();
});

// Mutation: watermarks.ts, RAISE does not ask for the slot's mark: the node counts as whole, and nothing looks for what it held.
test("loud: a node without a watermark gets none when it has lost everything behind the lane's look", async () => {
  const before = await live(source.position);
  before.close();
  await node().del(watermarkOf(0));
  const lane = await open();
  expect(lane.position?.phase).toBe("live");
  await node().flushall();
  expect(await faultOf(lane.confirm())).toMatchObject({ name: "Retryable", code: "DST-008" });
  expect(await node().exists(watermarkOf(0))).toBe(0);
  lane.close();
});

// Mutation: watermarks.ts, RAISE does not compare the replication id: the watermark says more than the node holds.
test("case 48: no watermark is raised over what a node lost behind a connection that held", async () => {
  const lane = await live(source.position);
  await source.write(`INCR {${HERE}}n`);
  await lane.applyChanges(source.group());
  const before = await node().get(watermarkOf(0));
  await node().call("DEBUG", "CHANGE-REPL-ID");
  expect(await due(lane)).toMatchObject({ code: "DST-001", message: expect.stringContaining("another history") as string });
  expect(await node().get(watermarkOf(0))).toBe(before);
  lane.close();
});

// Mutation: cluster-lane.ts, `open` reads a node's marks before `watermarks.meet`: what the node has lost between the two is hidden.
test("case 48: nor over what it lost while the lane read its marks", async () => {
  const before = await live(source.position);
  before.close();
  let changed: Promise<unknown> | null = null;
  destination.tamperWith(({ args: [name, key] }) => {
    if (name === "GET" && key === markOf(0)) changed ??= node().call("DEBUG", "CHANGE-REPL-ID");
    return null;
  });
  const lane = await open();
  expect(String(await (changed as unknown as Promise<unknown>))).toBe("OK");
  expect(await due(lane)).toMatchObject({ code: "DST-001", message: expect.stringContaining("another history") as string });
  lane.close();
});

// Mutations: watermarks.ts, `confirm` does not read the slot map again, or `#confirmMoved` is left out: a node that got slots of an idle lane may
// lose them, and nobody asks.
test("loud: slots that went to another node are looked for there, also by a lane that has nothing to write", async () => {
  const lane = await live(source.position);
  await move();
  await lane.confirm();
  await move(second, first);
  await lane.confirm();
  await move();
  await node(second).del(markOf(2));
  expect(await faultOf(lane.confirm())).toMatchObject({
    code: "DST-008",
    message: expect.stringContaining("mark of slot 2 holds mark none") as string,
  });
  lane.close();
});

/** Slots have moved, and a redirect has shown it to the lane. */
async function moved(): Promise<ClusterLane> {
  const lane = await live(source.position);
  await move();
  await source.write(`INCR {${NEXT}}n`);
  await lane.applyChanges(source.group());
  return lane;
}

// Mutations: watermarks.ts, `raise` does not look where slots went, or goes on where one of them could not be asked: a writer that dies behind it
// leaves a watermark above what slot 2 has. `#confirmMoved` takes a slot for asked that could not be: it is never asked again.
test.each([
  ["", null],
  [", once that can be asked", "-TRYAGAIN on its way"],
])(
  "marks-only-grow: no watermark is raised over slots that another node serves now, and serves otherwise%s",
  async (_, answer) => {
    const lane = await moved();
    const before = await node(second).get(watermarkOf(16_379));
    if (answer !== null) {
      destination.tamperWith(({ args: [name, key] }) => (name === "GET" && key === markOf(2) ? answer : null));
      expect(await due(lane)).toBeNull();
      expect(await node(second).get(watermarkOf(16_379))).toBe(before);
      destination.tamperWith(() => null);
    }
    await node(second).set(markOf(2), "1|1|1|live|s0|1|1");
    expect(await due(lane)).toMatchObject({ code: "DST-008", message: expect.stringContaining("mark of slot 2") as string });
    expect(await node(second).get(watermarkOf(16_379))).toBe(before);
    lane.close();
  },
);
