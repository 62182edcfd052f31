import { keySlot, slotTag } from "@sluice/redis";
import type { RedisCluster, RedisServer } from "@sluice/testkit";
import { formatMark, repairedKey, slotMarkKey, SlotSet, SnapshotRows, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import type { PartedValue, SnapshotValue } from "../lane-destination.ts";
import type { DivergencePolicy } from "../repair/key-repair.ts";
import type { SourceLane } from "../repair/source-lane.sample.ts";
import { KeySet } from "../snapshot/key-set.ts";
import type { ClusterLane } from "./cluster-lane.ts";
import { TamperedCluster } from "./tampered-cluster.sample.ts";

/** A few slots on each of the two nodes. */
const SLOTS = SlotSet.parse("0-4,16379-16383");
const [HERE, OTHER] = [0, 2].map((slot) => slotTag(slot)) as [string, string];
const snap: Position = { epoch: 5, copy: 1, phase: "snap", shard: "s0", offset: 0, sequence: 0 };

let destination: TamperedCluster;
let cluster: RedisCluster;
let source: SourceLane<RedisServer>;
TamperedCluster.forThisFile(SLOTS, (started) => {
  destination = started;
  ({ nodes: cluster, source } = destination);
});

const open = async (policy: DivergencePolicy = "halt"): Promise<ClusterLane> => destination.open(source.repair(policy).repair);
const clientOf = async (tag: string) => (await cluster.primaryOf(keySlot(Buffer.from(`{${tag}}`)))).client();
const markKey = (tag: string): string => slotMarkKey(tag, "p", "main");

async function openLive(policy: DivergencePolicy = "halt"): Promise<ClusterLane> {
  const lane = await open(policy);
  await lane.claim({ ...source.position, phase: "snap", offset: 0 });
  await lane.goLive(source.position);
  return lane;
}

/** A string of one letter, as a copy holds it. */
function entry(key: string, db = 0): SnapshotValue & PartedValue {
  const rows = new SnapshotRows(1);
  const sizes = { length: key.length + 2, keyLength: key.length };
  rows.add({ ...sizes, expireAtMs: -1, access: 0, slot: keySlot(Buffer.from(key)), db, type: 0, accessKind: 0 });
  return { rows, row: 0, key: Buffer.from(key), value: [Buffer.from("\u0001v")], pending: null };
}

// Mutation: cluster-values.ts, `#requireFirstDatabase` refuses nothing: keys of database 5 take the place of those of database 0.
test("loud: a copy that holds a key of another database than the first is not written into a cluster", async () => {
  const lane = await open();
  await lane.claim(snap);
  const [own, foreign] = [entry(`{${HERE}}own`), entry(`{${HERE}}foreign`, 5)];
  const refused = { name: "Halt", code: "DST-010", message: expect.stringContaining("database 5") as string };
  await expect(lane.applyValues([own, foreign])).rejects.toMatchObject(refused);
  await expect(lane.build(foreign)).rejects.toMatchObject(refused);
  expect(await (await clientOf(HERE)).exists(`{${HERE}}own`, `{${HERE}}foreign`)).toBe(0);
  lane.close();
});

// Mutation: cluster-lane.ts, `#copyingMark` takes a mark of any history: an earlier copy is written over the one that runs, and ends it.
test("one-writer-per-lane: a copy leaves alone the slots that another shard's copy of a later epoch has claimed", async () => {
  const client = await clientOf(OTHER);
  const later = formatMark({ ...snap, epoch: 9, shard: "s1" });
  await client.mset({ [markKey(OTHER)]: later, [`{${OTHER}}theirs`]: "1" });
  const lane = await open();
  await lane.claim(snap);
  await lane.applyValues([entry(`{${HERE}}k`), entry(`{${OTHER}}k`)]);
  expect(await client.exists(`{${OTHER}}k`)).toBe(0);
  expect(await lane.build(entry(`{${OTHER}}k`))).toBeNull();
  expect(await lane.sweep(new KeySet())).toBe(1);
  await lane.goLive({ ...snap, phase: "live", offset: 100, sequence: 1 });
  expect(await client.mget(`{${OTHER}}theirs`, markKey(OTHER))).toEqual(["1", later]);
  lane.close();
});

// Mutation: cluster-lane.ts, `follow` does nothing: a batch that begins behind the lost offset does not tell, and the list keeps what the source lost.
test("a key that was read in a history which the source lost is read again where another one begins, before any change", async () => {
  const list = `{${HERE}}list`;
  const lane = await openLive("repair");
  await source.write(`RPUSH ${list} a`);
  await lane.applyChanges(source.group());
  lane.close();
  const client = await clientOf(HERE);
  await client.rpush(list, "lost");
  await client.hset(repairedKey(markKey(HERE)), `0:${list}`, `1|${source.offset + 10}|former`);
  const next = await open("repair");
  await next.follow({ replid: source.replid, previous: source.offset });
  expect(await client.lrange(list, 0, -1)).toEqual(["a"]);
  next.close();
});

// Mutation: group-sender.ts, `refresh` takes any map: what another node in its place has lost is not asked for.
test("loud: a node that serves the lane no more makes it begin anew", async () => {
  const lane = await openLive();
  const [first, second] = [await cluster.primaryOf(0), await cluster.primaryOf(16_383)];
  const slots = [16_379, 16_380, 16_381, 16_382, 16_383];
  await cluster.moveSlots(slots, second, first);
  await expect(lane.confirm()).rejects.toMatchObject({
    name: "Retryable",
    code: "DST-001",
    message: expect.stringContaining("does not serve the lane any more") as string,
  });
  lane.close();
  await cluster.moveSlots(slots, first, second);
});

// Mutations: read-marks.ts, a redirect counts as no mark (the lane is copied anew), or as nothing repaired (units run twice), or halts it;
// node-pool.ts, a map without all slots will do.
test.each([
  ["who serves its slots", "CLUSTER", "*0", "tells who serves all slots"],
  ["the mark of a slot", "GET", "-MOVED 0 127.0.0.1:1", "the marks on 127.0.0.1"],
  ["what was repaired in a slot", "HGETALL", "-MOVED 0 127.0.0.1:1", "what was repaired on 127.0.0.1"],
])("a lane that is not told %s does not begin, and asks again", async (_, command, reply, what) => {
  destination.tamperWith(({ args }) => (args[0] === command ? reply : null));
  const refused = { name: "Retryable", code: "DST-003", message: expect.stringContaining(what) as string };
  await expect(open()).rejects.toMatchObject(refused);
  destination.tamperWith(() => null);
  (await open()).close();
});

// Mutations: node-pool.ts, what every node refuses is asked for again and again; read-marks.ts, any answer counts as one that tells of another place.
test.each([
  ["who serves its slots", "CLUSTER", "-NOPERM no", "DST-002", "NOPERM no"],
  ["the mark of a slot", "GET", "-NOPERM no", "DST-002", "NOPERM no"],
  ["what was repaired in a slot", "HGETALL", "-ERR unknown command", "DST-002", "unknown command"],
  ["what was repaired in a slot, where somebody has put a value", "HGETALL", "-WRONGTYPE no", "DST-005", `{${HERE}}`],
])("loud: a lane that is refused %s halts", async (_, command, reply, code, what) => {
  destination.tamperWith(({ args }) => (args[0] === command ? reply : null));
  const message = expect.stringContaining(what) as string;
  await expect(open()).rejects.toMatchObject({ name: "Halt", code, message });
});

// Mutation: node-pool.ts, one node that refuses halts the lane: a node that is set up otherwise than the rest, for a while, ends a migration.
test("a lane asks again who serves its slots as long as one node may still tell", async () => {
  let calls = 0;
  destination.tamperWith(({ args }) => (args[0] === "CLUSTER" ? (calls++ === 0 ? "-NOPERM no" : "-LOADING soon") : null));
  await expect(open()).rejects.toMatchObject({ name: "Retryable", code: "DST-003" });
});
