import { once } from "node:events";
import { infoFields, keySlot, slotTag } from "@sluice/redis";
import { RedisCluster, RedisServer, waitUntil } from "@sluice/testkit";
import { repairedKey, slotMarkKey, SlotSet, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import type { Tamper } from "../apply/reply-tamperer.sample.ts";
import { placeOf } from "../repair/commands-of.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import { KeySet } from "../snapshot/key-set.ts";
import { SourceLane } from "../repair/source-lane.sample.ts";
import type { ClusterLane } from "./cluster-lane.ts";
import { faultOf, TamperedCluster } from "./tampered-cluster.sample.ts";

/** A few slots on each of the two nodes. */
const SLOTS = SlotSet.parse("0-4,16379-16383");
const [HERE, NEXT, THERE] = [0, 1, 16_383].map((slot) => slotTag(slot)) as [string, string, string];
const [LIST, NUMBER] = [`{${HERE}}list`, `{${HERE}}n`];

let destination: TamperedCluster;
let cluster: RedisCluster;
let source: SourceLane<RedisServer>;

TamperedCluster.forThisFile(SLOTS, (started) => {
  destination = started;
  ({ nodes: cluster, source } = destination);
});

const tamperWith = (tamper: Tamper): void => destination.tamperWith(tamper);
const open = async (repair: KeyRepair): Promise<ClusterLane> => destination.open(repair);

async function goLive(lane: ClusterLane, at: Position): Promise<void> {
  await lane.claim({ ...at, phase: "snap", offset: 0 });
  await lane.goLive(at);
}

const nodeOf = async (key: string) => (await cluster.primaryOf(keySlot(Buffer.from(key)))).client();
const markKey = (key: string): string => slotMarkKey(slotTag(keySlot(Buffer.from(key))), "p", "main");
const ours = async (): Promise<string[]> => (await nodeOf(LIST)).lrange(LIST, 0, -1);
const theirs = async (): Promise<string[]> => source.server.client().lrange(LIST, 0, -1);

/** The list is repaired at an offset that holds `lines` already, which are not applied yet. */
async function repairAhead(lane: ClusterLane, ...lines: readonly (readonly string[])[]): Promise<void> {
  await (await nodeOf(LIST)).set(LIST, "planted");
  await source.write(`RPUSH ${LIST} a`);
  for (const unit of lines) await source.write(...unit);
  await lane.applyChanges(source.group(1));
  expect(await (await nodeOf(LIST)).hkeys(repairedKey(markKey(LIST)))).toEqual([`0:${LIST}`]);
}

// Mutation: slot-keys.ts, `of` without the node that a slot goes to: the slot counts as empty, and "stale" stays.
test("converges: keys of a slot that is on its way are found on both nodes", async () => {
  const client = await nodeOf(LIST);
  await client.mset(LIST, "stale", NUMBER, "stale");
  const lane = await open(source.repair("halt").repair);
  const half = await cluster.moveHalf(0, await cluster.primaryOf(16_383), 2);
  expect(await lane.isEmpty()).toBe(false);
  const at = source.position;
  await lane.claim({ ...at, phase: "snap", offset: 0 });
  expect(await lane.sweep(new KeySet())).toBe(2);
  await half.finish();
  const next = await nodeOf(LIST);
  expect(await next.exists(LIST, NUMBER)).toBe(0);
  lane.close();
  await cluster.moveSlots([0], await cluster.primaryOf(0), await cluster.primaryOf(1));
});

// Mutation: cluster-repairs.ts, `forget`: the book is cleared first, whatever slot it is (b and c twice).
test("applied-once: a copy of some slots of the lane leaves alone what was repaired in the others", async () => {
  const start = source.position;
  const first = await open(source.repair("repair").repair);
  await goLive(first, start);
  await repairAhead(first, [`RPUSH ${LIST} b`], [`RPUSH ${LIST} c`]);
  first.close();
  await (await nodeOf(`{${THERE}}`)).del(markKey(`{${THERE}}`));
  const next = await open(source.repair("repair").repair);
  expect(next.position).toMatchObject({ phase: "snap", epoch: 1 });
  await goLive(next, start);
  await next.applyChanges(source.group());
  expect(await ours()).toEqual(await theirs());
  next.close();
});

// Mutation: cluster-repairs.ts, `#beside`: the mark keeps its text (the repair of the writer that slept is taken).
test("one-writer-per-lane: a repair that was suspended is refused once another writer has repaired the same slot", async () => {
  const [asleep, reached] = [new AbortController(), new AbortController()];
  let isGated = false;
  const endpoint = { host: "127.0.0.1", port: source.server.port };
  const gated = async () => {
    if (isGated) {
      reached.abort();
      await once(asleep.signal, "abort");
    }
    return endpoint;
  };
  const former = await open(source.repair("repair", { source: gated }).repair);
  await goLive(former, source.position);
  await repairAhead(former, [`RPUSH ${LIST} b`, `INCR ${NUMBER}`]);
  const group = source.group();
  isGated = true;
  const late = faultOf(former.applyChanges(group));
  if (!reached.signal.aborted) await once(reached.signal, "abort");
  const next = await open(source.repair("repair").repair);
  // It gets no further than its repair.
  tamperWith(({ args }) => (args[0] === "EVALSHA" ? "-NOPERM no" : null));
  expect(await faultOf(next.applyChanges(group))).toMatchObject({ code: "DST-002" });
  tamperWith(() => null);
  await source.write(`RPUSH ${LIST} c`);
  asleep.abort();
  expect(await late).toMatchObject({ name: "Retryable", code: "DST-008" });
  former.close();
  next.close();
  const last = await open(source.repair("repair").repair);
  await last.applyChanges(group);
  await last.applyChanges(source.group());
  expect([await ours(), await (await nodeOf(NUMBER)).get(NUMBER)]).toEqual([await theirs(), "1"]);
  last.close();
});

// Mutation: cluster-repairs.ts, `#write`: entries of refused keys are not removed (nothing is ever applied to the list again).
test("loud: a key that a node refuses inside the transaction is not taken for repaired", async () => {
  const lane = await open(source.repair("repair").repair);
  await goLive(lane, source.position);
  await (await nodeOf(LIST)).set(LIST, "planted");
  await source.write(`RPUSH ${LIST} a`);
  const group = source.group();
  // Neither as it is, nor from its elements.
  tamperWith(({ args: [name] }) =>
    name === "RESTORE" || name === "RENAME" ? { bare: "-ERR DUMP payload version or checksum are wrong" } : null,
  );
  expect(await faultOf(lane.applyChanges(group))).toMatchObject({ name: "Halt", code: "DST-014" });
  lane.close();
  tamperWith(() => null);
  expect(await (await nodeOf(LIST)).exists(repairedKey(markKey(LIST)))).toBe(0);
});

// Mutation: cluster-repairs.ts, `#write`: nothing is learnt from a refusal (the lane halts with DST-014).
test("a key whose RESTORE a node refuses is repaired from its elements", async () => {
  const lane = await open(source.repair("repair").repair);
  await goLive(lane, source.position);
  await (await nodeOf(LIST)).set(LIST, "planted");
  await source.write(`RPUSH ${LIST} a`);
  tamperWith(({ args }) => (args[0] === "RESTORE" ? { bare: "-ERR DUMP payload version or checksum are wrong" } : null));
  await lane.applyChanges(source.group());
  lane.close();
  tamperWith(() => null);
  expect(await ours()).toEqual(await theirs());
});

// Mutation: cluster-repairs.ts, `follow`: nothing is read again (the list keeps what the source lost).
test("a key that was read in a history which the source lost is read again where another one goes on", async () => {
  const lane = await open(source.repair("repair").repair);
  await goLive(lane, source.position);
  await repairAhead(lane, [`RPUSH ${LIST} b`]);
  lane.close();
  const node = await nodeOf(LIST);
  await node.rpush(LIST, "lost");
  await node.hset(repairedKey(markKey(LIST)), `0:${LIST}`, `1|${source.offset + 1_000_000}|former`);
  const next = await open(source.repair("repair").repair);
  await next.applyChanges(source.group());
  expect(await ours()).toEqual(await theirs());
  next.close();
});

// Mutation: key-repair.ts, `slicesOf`: `isBySlot` is ignored (EXECABORT: CROSSSLOT).
test("keys of several slots are read from a cluster slot by slot", async () => {
  const keys = [`{${HERE}}a`, `{${NEXT}}b`, `{${HERE}}c`];
  const node = await nodeOf(keys[0] as string);
  for (const key of keys) await node.set(key, key);
  const fields = infoFields(await node.info("replication"));
  const server = await cluster.primaryOf(0);
  const { repair } = source.repair("repair", {
    isBySlot: true,
    source: async () => ({ host: "127.0.0.1", port: server.port }),
    history: async () => ({ epoch: 1, replid: fields.get("master_replid") ?? "", storedOffset: 0 }),
  });
  const read: string[][] = [];
  for await (const { images } of repair.read(new Set(keys.map((key) => placeOf(0, Buffer.from(key)))), 1, 0))
    read.push(images.map(({ place, value }) => (value === null ? "" : place)));
  expect(read).toEqual([[`0:${keys[0]}`, `0:${keys[2]}`], [`0:${keys[1]}`]]);
});

// Mutation: key-repair.ts, `refusesUnread` does nothing: what was repaired before is forgotten, and its units run on the image.
test("loud: where what was repaired may not be read, a lane with the policy repair does not begin; others do", async () => {
  for (const node of cluster.nodes) await node.client().acl("SETUSER", "default", "-hgetall");
  try {
    expect(await faultOf(open(source.repair("repair").repair))).toMatchObject({ name: "Halt", code: "DST-002" });
    (await open(source.repair("halt").repair)).close();
  } finally {
    for (const node of cluster.nodes) await node.client().acl("SETUSER", "default", "+hgetall");
  }
});

// Mutation: apply-script.ts, the mark is set behind the commands: the RPUSH counts as failed, the DEL has run, and the lane halts.
test("mark-with-data: a node that is out of memory takes nothing of a group, not even what needs none", async () => {
  const lane = await open(source.repair("halt").repair);
  await goLive(lane, source.position);
  await source.write(`INCR ${NUMBER}`);
  await lane.applyChanges(source.group());
  await source.write(`RPUSH ${LIST} a`);
  await source.write(`DEL ${NUMBER}`);
  const node = await nodeOf(LIST);
  await node.config("RESETSTAT");
  await node.config("SET", "maxmemory", "1");
  const applied = faultOf(lane.applyChanges(source.group()));
  await waitUntil("the node has refused it", async () => (await node.info("errorstats")).includes("errorstat_OOM"));
  const left = await node.exists(NUMBER);
  await node.config("SET", "maxmemory", "0");
  expect([left, await applied, await node.exists(NUMBER)]).toEqual([1, null, 0]);
  expect(await ours()).toEqual(await theirs());
  lane.close();
});
