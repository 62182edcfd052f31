import { encodeCommand, keySlot, slotTag } from "@sluice/redis";
import { RedisCluster, RedisServer } from "@sluice/testkit";
import {
  BatchKind,
  ChangeFlag,
  ChangeRows,
  formatMark,
  parseMark,
  repairedKey,
  slotMarkKey,
  SlotSet,
  type Batch,
  type Position,
} from "@sluice/wire";
import { expect, test } from "vitest";
import type { Tamper } from "../apply/reply-tamperer.sample.ts";
import type { ChangeGroup } from "../lane-destination.ts";
import type { DivergencePolicy, KeyRepair, KeyRepairOptions } from "../repair/key-repair.ts";
import { runsOf, SourceLane } from "../repair/source-lane.sample.ts";
import type { ClusterLane } from "./cluster-lane.ts";
import { faultOf, TamperedCluster } from "./tampered-cluster.sample.ts";

/** 50 slots on each of the two nodes. */
const SLOTS = SlotSet.parse("0-49,16334-16383");
const TAGS = [...SLOTS].map((slot) => slotTag(slot));
const [TAG] = TAGS as [string];
const shift = (ms: number): number => ms + 3_600_001 - (ms % 2);

let destination: TamperedCluster;
let cluster: RedisCluster;
let source: SourceLane<RedisServer>;

TamperedCluster.forThisFile(
  SLOTS,
  (started) => {
    destination = started;
    ({ nodes: cluster, source } = destination);
  },
  shift,
);

const tamperWith = (tamper: Tamper): void => destination.tamperWith(tamper);
const open = async (repair: KeyRepair): Promise<ClusterLane> => destination.open(repair);

/** A lane that is live where the source stands, or at offset 0. */
async function openLive(policy: DivergencePolicy, options: Partial<KeyRepairOptions> = {}, at: Position = source.position) {
  const { repair, told } = source.repair(policy, options);
  const lane = await open(repair);
  await lane.claim({ ...at, phase: "snap", offset: 0 });
  await lane.goLive(at);
  return { lane, told };
}

const markKey = (key: string): string => slotMarkKey(slotTag(keySlot(Buffer.from(key))), "p", "main");

async function nodeOf(key: string): Promise<ReturnType<RedisServer["client"]>> {
  return (await cluster.primaryOf(keySlot(Buffer.from(key)))).client();
}

async function same(...keys: readonly string[]): Promise<void> {
  const read = async (client: ReturnType<RedisServer["client"]>, key: string): Promise<unknown> =>
    (await client.type(key)) === "list" ? client.lrange(key, 0, -1) : client.get(key);
  const ours = await Promise.all(keys.map(async (key) => read(await nodeOf(key), key)));
  const theirs = await Promise.all(keys.map(async (key) => read(source.server.client(), key)));
  expect(ours).toEqual(theirs);
}

/** One unit for each slot. */
function wave(at: Position, round: number): ChangeGroup {
  const rows = new ChangeRows(1);
  const flags = ChangeFlag.first | ChangeFlag.last;
  const bodies = TAGS.map((tag) => encodeCommand(["RPUSH", `{${tag}}l`, String(round)]));
  for (const [index, body] of bodies.entries()) rows.add(body.length, 3, index + 1, [...SLOTS][index] ?? 0, 0, flags, 4);
  const target = { ...at, offset: at.offset + TAGS.length, sequence: at.sequence + 1 };
  const head = { kind: BatchKind.changes, shard: "s0", epoch: 1, term: 1, db: 0, replid: "r", part: null, besideCopy: false };
  const body = Buffer.concat(bodies);
  const batch: Batch = { ...head, previous: at.offset, last: target.offset, rows, body };
  return { slices: [{ slice: { rows, body, from: 0 }, batch, sequence: target.sequence }], target };
}

const REPLIES: readonly (readonly [string, (slot: number, other: number) => string])[] = [
  ["MOVED", (slot, other) => `-MOVED ${slot} 127.0.0.1:${other}`],
  ["ASK", (slot, other) => `-ASK ${slot} 127.0.0.1:${other}`],
  ["TRYAGAIN", () => "-TRYAGAIN Multiple keys request during rehashing of slot"],
  ["CLUSTERDOWN", () => "-CLUSTERDOWN The cluster is down"],
  ["LOADING", () => "-LOADING Redis is loading the dataset in memory"],
  ["BUSY", () => "-BUSY Redis is busy running a script."],
  ["OOM", () => "-OOM command not allowed when used memory > 'maxmemory'."],
  ["READONLY", () => "-READONLY You can't write against a read only replica."],
  ["MISCONF", () => "-MISCONF Redis is configured to save RDB snapshots"],
  ["NOREPLICAS", () => "-NOREPLICAS Not enough good replicas to write."],
  ["NOPERM", () => "-NOPERM this user has no permissions to run the 'evalsha' command"],
  ["MASTERDOWN", () => "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."],
];

// Mutations: group-sender.ts, `#settle`: an error answer taken for applied (holes); `#redirect`: NOPERM as "wait" (tried for ever).
test.each(REPLIES)(
  "case 49: applied-once: %s at every place of a pipeline to a cluster: all applied once, in order",
  async (name, reply) => {
    const start: Position = { epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 0, sequence: 1 };
    let { lane } = await openLive("halt", {}, start);
    const halted: number[] = [];
    let injections = 0;
    for (let place = 0; place < TAGS.length; place++) {
      const wanted = markKey(`{${TAGS[place] ?? ""}}`);
      let isArmed = true;
      tamperWith(({ args }) => {
        if (!isArmed || args[0] !== "EVALSHA" || args[3] !== wanted) return null;
        isArmed = false;
        injections++;
        const other = destination.ports[place < TAGS.length / 2 ? 1 : 0] ?? 0;
        return reply([...SLOTS][place] ?? 0, other);
      });
      const group = wave({ ...start, offset: place * TAGS.length, sequence: place + 1 }, place);
      const fault = await faultOf(lane.applyChanges(group));
      if (fault === null) continue;
      expect(fault).toMatchObject({ name: "Halt", code: "DST-002" });
      halted.push(place);
      lane.close();
      lane = await open(source.repair("halt").repair);
      expect(lane.unjudged).toBeNull();
      await lane.applyChanges(group);
    }
    const rounds = TAGS.map((_, round) => String(round));
    for (const tag of TAGS) expect(await (await nodeOf(`{${tag}}l`)).lrange(`{${tag}}l`, 0, -1)).toEqual(rounds);
    expect([injections, halted.length]).toEqual([TAGS.length, name === "NOPERM" ? TAGS.length : 0]);
    lane.close();
  },
);

// Mutations: cluster-repairs.ts, `addAround`: nothing is passed over (list doubled); `#write`: no HMSET (doubled by the next writer).
test("case 51: in a cluster a key of another type is taken from the source, through a restart in the middle, others untouched", async () => {
  const [list, number, other] = [`{${TAG}}list`, `{${TAG}}n`, `{${TAGS[70] ?? ""}}other`];
  const { lane, told } = await openLive("repair");
  await source.write(`RPUSH ${list} a`);
  await lane.applyChanges(source.group());
  await (await nodeOf(list)).set(list, "planted");
  await source.write(`INCR ${number}`);
  await source.write(`RPUSH ${list} b`);
  await source.write(`INCR ${number}`);
  await source.write(`RPUSH ${other} 1`);
  for (let n = 0; n < 4; n++) await source.write(`RPUSH ${list} later${n}`);
  await source.write(`INCR ${number}`);
  await lane.applyChanges(source.group(5));
  expect(told).toMatchObject({ repairedKeys: 1, skippedErrors: 0 });
  expect(parseMark((await (await nodeOf(list)).get(markKey(list))) ?? "").judged).toBeUndefined();
  expect(await (await nodeOf(list)).hkeys(repairedKey(markKey(list)))).toEqual([`0:${list}`]);
  lane.close();
  const next = await open(source.repair("repair").repair);
  await next.applyChanges(source.group());
  await same(list, number, other);
  await source.write(`RPUSH ${list} end`);
  await next.applyChanges(source.group());
  await same(list);
  expect(await (await nodeOf(list)).exists(repairedKey(markKey(list)))).toBe(0);
  next.close();
});

// Mutation: cluster-repairs.ts, `settle`: no `#settled` (the next writer counts the same error again).
test.each(["halt", "skip"] as const)("case 51: in a cluster, policy %s", async (policy) => {
  const [list, number] = [`{${TAG}}list`, `{${TAG}}n`];
  const { lane, told } = await openLive(policy);
  await (await nodeOf(list)).set(list, "planted");
  await source.write(`RPUSH ${list} b`);
  await source.write(`INCR ${number}`);
  const fault = await faultOf(lane.applyChanges(source.group()));
  if (policy === "halt") {
    expect(fault).toMatchObject({ name: "Halt", code: "DST-004" });
    lane.close();
    return;
  }
  expect([fault, told.skippedErrors]).toEqual([null, 1]);
  expect(parseMark((await (await nodeOf(list)).get(markKey(list))) ?? "").judged).toBeUndefined();
  await source.write(`INCR ${number}`);
  await lane.applyChanges(source.group());
  await same(number);
  lane.close();
});

// Mutation: apply-script.ts: the mark is not set again where something failed (nobody learns of it).
test.each(["halt", "skip", "repair"] as const)(
  "case 17: the reply to the script is lost: the mark tells what failed, with %s",
  async (policy) => {
    const [list, number] = [`{${TAG}}list`, `{${TAG}}n`];
    const { lane } = await openLive(policy);
    await (await nodeOf(list)).set(list, "planted");
    await source.write(`INCR ${number}`);
    await source.write(`RPUSH ${list} b`);
    await source.write(`INCR ${number}`);
    const group = source.group();
    tamperWith(({ args }) => (args[0] === "EVALSHA" && args.includes(list) ? { drop: true } : null));
    expect(await faultOf(lane.applyChanges(group))).toMatchObject({ code: "DST-001" });
    lane.close();
    tamperWith(() => null);
    const mark = parseMark((await (await nodeOf(list)).get(markKey(list))) ?? "");
    expect(mark.judged?.failed).toMatchObject({
      indexes: [1],
      count: 1,
      error: expect.stringContaining("WRONGTYPE") as string,
    });
    const { repair, told } = source.repair(policy);
    const next = await open(repair);
    expect(next.unjudged).toMatchObject({ to: { offset: source.offset } });
    if (policy === "halt") {
      expect(await faultOf(next.judge(runsOf(group)))).toMatchObject({ name: "Halt", code: "DST-004" });
      const lifted = await open(source.repair(policy, { isLifted: true }).repair);
      await lifted.judge(runsOf(group));
      lifted.close();
    } else await next.judge(runsOf(group));
    next.close();
    const last = await open(repair);
    expect(last.unjudged).toBeNull();
    await last.applyChanges(group);
    await same(number);
    if (policy === "repair") await same(list);
    expect([told.repairedKeys, told.skippedErrors]).toEqual([policy === "repair" ? 1 : 0, policy === "skip" ? 1 : 0]);
    last.close();
  },
);

// Mutation: cluster-repairs.ts, `judge` without `#judgeUnread`: the mark becomes a plain one, and nobody learns what failed.
test.each([
  ["halt", { name: "Halt", code: "DST-004" }],
  ["repair", { name: "Halt", code: "DST-014" }],
  ["skip", null],
] as const)(
  "case 17: what failed is known where the stream does not hold its units any more, with %s",
  async (policy, expected) => {
    const list = `{${TAG}}list`;
    const { lane } = await openLive(policy);
    await (await nodeOf(list)).set(list, "planted");
    await source.write(`RPUSH ${list} b`);
    const group = source.group();
    tamperWith(({ args }) => (args[0] === "EVALSHA" && args.includes(list) ? { drop: true } : null));
    expect(await faultOf(lane.applyChanges(group))).toMatchObject({ code: "DST-001" });
    lane.close();
    tamperWith(() => null);
    const { repair, told } = source.repair(policy);
    const next = await open(repair);
    const fault = await faultOf(next.judge(null));
    if (expected === null) expect([fault, told.skippedErrors]).toEqual([null, 1]);
    else expect(fault).toMatchObject(expected);
    next.close();
    const lifted = await open(source.repair(policy, { isLifted: true }).repair);
    await lifted.judge(null);
    lifted.close();
    const last = await open(repair);
    expect(last.unjudged).toBeNull();
    last.close();
  },
);

// Mutations: group-book.ts: a transaction's mark without `judged` (its verdict is lost for good); cluster-repairs.ts, `#judgeSlot` ends before it
// asks for the policy (what failed is neither halted for nor counted).
test.each([
  ["halt", { name: "Halt", code: "DST-004" }, [0, 0]],
  ["skip", null, [0, 1]],
  ["repair", null, [1, 0]],
] as const)(
  "case 17: the reply to a transaction on a slot is lost: its keys are looked at, with %s",
  async (policy, expected, counted) => {
    const [list, text] = [`{${TAG}}list`, `{${TAG}}text`];
    const { lane } = await openLive(policy);
    await (await nodeOf(list)).set(list, "planted");
    // More arguments than a script takes.
    const many = Array.from({ length: 7_500 }, (_, n) => n).join(" ");
    await source.write(`RPUSH ${list} ${many}`, `SET ${text} 1`);
    const group = source.group();
    tamperWith(({ args }) => (args[0] === "EXEC" ? { drop: true } : null));
    expect(await faultOf(lane.applyChanges(group))).toMatchObject({ code: "DST-001" });
    lane.close();
    tamperWith(() => null);
    const { repair, told } = source.repair(policy);
    const next = await open(repair);
    const fault = await faultOf(next.judge(runsOf(group)));
    if (expected === null) expect(fault).toBeNull();
    else expect(fault).toMatchObject(expected);
    expect([told.repairedKeys, told.skippedErrors]).toEqual(counted);
    await same(text);
    if (policy === "repair") await same(list);
    next.close();
  },
);

// Mutation: group-sender.ts: NOSCRIPT as halt.
test("case 50: SCRIPT FLUSH in the middle of a pipeline: all applied once", async () => {
  const start: Position = { epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 0, sequence: 1 };
  const { lane } = await openLive("halt", {}, start);
  for (let place = 0; place < TAGS.length; place += 7) {
    let isArmed = true;
    const wanted = markKey(`{${TAGS[place] ?? ""}}`);
    const node = await nodeOf(`{${TAGS[place] ?? ""}}`);
    // Behind the flush the server answers NOSCRIPT by itself.
    tamperWith(({ args }) => {
      if (isArmed && args[0] === "EVALSHA" && args[3] === wanted) {
        isArmed = false;
        void node.script("FLUSH");
      }
      return null;
    });
    await node.script("FLUSH");
    await lane.applyChanges(wave({ ...start, offset: place * TAGS.length, sequence: place + 1 }, place));
  }
  const rounds = TAGS.flatMap((_, round) => (round % 7 === 0 ? [String(round)] : []));
  for (const tag of TAGS) expect(await (await nodeOf(`{${tag}}l`)).lrange(`{${tag}}l`, 0, -1)).toEqual(rounds);
  lane.close();
});

// Mutation: group-book.ts, `add`: no limit of arguments (Lua's unpack fails half-way, H18 ii).
test("unit-never-split: units beyond what a script takes, and commands that it may not run, go by a transaction on their slot", async () => {
  const { lane } = await openLive("halt");
  const [list, number, stored] = [`{${TAG}}list`, `{${TAG}}n`, `{${TAG}}stored`];
  const many = Array.from({ length: 9_000 }, (_, n) => n).join(" ");
  await source.write(`INCR ${number}`);
  await source.write(`RPUSH ${list} ${many}`, `INCR ${number}`);
  await source.write(`INCR ${number}`);
  await source.write(...Array.from({ length: 3_000 }, () => `INCR ${number}`));
  for (let n = 0; n < 3_000; n++) await source.write(`RPUSH ${list} x${n}`);
  await source.write(`INCR ${number}`);
  await lane.applyChanges(source.group());
  expect(await (await nodeOf(number)).get(number)).toBe("3004");
  await same(list, number);
  // EVAL may not be run by a script; old sources send it as it is.
  await source.write("SET x 1");
  const group = source.group();
  const raw = encodeCommand(["EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", stored, "by a script"]);
  const rows = new ChangeRows(1);
  rows.add(
    raw.length,
    5,
    group.target.offset - (group.slices[0]?.batch.previous ?? 0),
    0,
    0,
    ChangeFlag.first | ChangeFlag.last,
    4,
  );
  const slices = group.slices.map((each) => ({
    ...each,
    slice: { rows, body: raw, from: 0 },
    batch: { ...each.batch, rows, body: raw },
  }));
  await lane.applyChanges({ ...group, slices });
  expect(await (await nodeOf(stored)).get(stored)).toBe("by a script");
  expect(formatMark(parseMark((await (await nodeOf(stored)).get(markKey(stored))) ?? ""))).toContain(
    `|${group.target.offset}|`,
  );
  lane.close();
});
