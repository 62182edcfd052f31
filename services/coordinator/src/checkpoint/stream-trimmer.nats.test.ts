import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer } from "@sluice/testkit";
import { BatchKind, encodeBatch, liveSubject, snapSubject, type LaneRecord, type ShardRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { StreamTrimmer } from "./stream-trimmer.ts";

const log = silentLog();
const [snap, live] = [snapSubject("p", 1, "s0", 0), liveSubject("p", "s0", 0)];

function message(kind: BatchKind, epoch: number): Buffer {
  const head = { kind, shard: "s0", epoch, term: 1, previous: 1, last: 1, db: 0, replid: "r" };
  return encodeBatch({ ...head, rows: null, body: Buffer.alloc(0), part: null, besideCopy: false });
}

test("keeps the end of a finished copy, what was applied lately, and the last message of every subject", async () => {
  await using server = await NatsServer.start();
  const bus = await Bus.connect({ url: server.url, name: "test", log });
  const stream = bus.stream("p");
  await stream.ensure();
  const tails = new Map<string, number>();
  const append = async (subject: string, kind: BatchKind, epoch: number): Promise<void> => {
    const result = await stream.append(subject, message(kind, epoch), tails.get(subject) ?? 0);
    if (result.outcome !== "stored") throw new Error(result.outcome);
    tails.set(subject, result.sequence);
  };
  let nowMs = 0;
  const clock = { nowMs: () => 0, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  const trimmer = new StreamTrimmer("p", stream, 0, clock, log);
  const trim = async (atMs: number, lane: Partial<LaneRecord>, epoch = 1): Promise<void> => {
    nowMs = atMs;
    const record = { epoch: 1, copy: 1, phase: "live", ...lane } as LaneRecord;
    await trimmer.trim([
      { shardId: "s0", lane: 0, shard: { epoch, copy: 1 } as ShardRecord, groups: new Map([["main", record]]) },
    ]);
  };
  const messages = async (): Promise<number> => (await stream.size())!.messages;

  await append(live, BatchKind.fence, 1); // 1
  for (let index = 0; index < 3; index++) await append(snap, BatchKind.heartbeat, 1); // 2 to 4
  await append(snap, BatchKind.snapshotEnd, 1); // 5
  for (let index = 0; index < 4; index++) await append(live, BatchKind.heartbeat, 1); // 6 to 9

  await trim(0, { phase: "snap", offset: 3, sequence: 4 });
  expect(await messages()).toBe(9);
  await trim(1_000, { offset: 1, sequence: 5 });
  expect(await messages()).toBe(6);
  expect((await stream.tail(snap))?.sequence).toBe(5);

  await trim(2_000, { offset: 2, sequence: 8 });
  expect(await messages()).toBe(6);
  await trim(62_000, { offset: 3, sequence: 8 });
  expect(await stream.at(7)).toBeNull();
  expect(await stream.at(8)).not.toBeNull();
  // A sequence beyond the subject's last message never takes that one away.
  await trim(130_000, { offset: 4, sequence: 1_000 });
  await trim(191_000, { offset: 4, sequence: 1_000 });
  expect((await stream.tail(live))?.sequence).toBe(9);
  expect(await messages()).toBe(2);

  // The next epoch uses the same subject: while its copy runs nothing of it goes, whatever the records still say.
  await append(snap, BatchKind.heartbeat, 2);
  await append(snap, BatchKind.heartbeat, 2);
  const again = new StreamTrimmer("p", stream, 0, clock, log);
  await again.trim([
    {
      shardId: "s0",
      lane: 0,
      shard: { epoch: 1, copy: 1 } as ShardRecord,
      groups: new Map([["main", { epoch: 1, copy: 1, phase: "live", offset: 4, sequence: 9 } as LaneRecord]]),
    },
  ]);
  expect(await messages()).toBe(4);
  await bus.close();
});

// Mutation: stream-trimmer.ts, the addition's number not compared: the copy goes for a group that is there no more, or not yet again.
test("a copy for groups that came later goes as a whole once these are past it", async () => {
  await using server = await NatsServer.start();
  const bus = await Bus.connect({ url: server.url, name: "test", log });
  const stream = bus.stream("p");
  await stream.ensure();
  const own = snapSubject("p", 2, "s0", 0);
  for (let expected = 0; expected < 3; expected++) await stream.append(own, message(BatchKind.heartbeat, 1), expected);
  const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() };
  const trimmer = new StreamTrimmer("p", stream, 0, clock, log);
  const copies = [{ epoch: 1, copy: 2, groups: { more: 5 }, phase: "stored" }];
  const shard = { epoch: 1, copy: 1, copies } as unknown as ShardRecord;
  const lane = (copy: number, phase: "snap" | "live") => ({ epoch: 1, copy, phase, offset: 1, sequence: 1 }) as LaneRecord;
  const trim = async (more: LaneRecord | null, number: number): Promise<number> => {
    const groups = new Map([
      ["main", lane(1, "live")],
      ["more", more],
    ] as const);
    await trimmer.trim([{ shardId: "s0", lane: 0, shard, groups, additions: { more: { number, above: 0 } } }]);
    return (await stream.size())!.messages;
  };
  expect(await trim(null, 5)).toBe(3);
  expect(await trim(lane(2, "snap"), 5)).toBe(3);
  expect(await trim(lane(2, "live"), 6)).toBe(3);
  expect(await trim(lane(2, "live"), 5)).toBe(0);
  expect(await stream.tail(own)).toBeNull();
  await bus.close();
});

test("a lane that is gone keeps the last message of each subject, and is trimmed as ever when it comes back", async () => {
  await using server = await NatsServer.start();
  const bus = await Bus.connect({ url: server.url, name: "test", log });
  const stream = bus.stream("p");
  await stream.ensure();
  const trimmer = new StreamTrimmer(
    "p",
    stream,
    0,
    { nowMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() },
    log,
  );
  const fill = async (): Promise<void> => {
    for (const subject of [live, snap]) {
      for (let index = 0; index < 3; index++) {
        const tail = (await stream.tail(subject))?.sequence ?? 0;
        await stream.append(subject, message(BatchKind.heartbeat, 1), tail);
      }
    }
  };
  const gone = [{ shardId: "s0", lane: 0, copies: [1] }];
  const messages = async (): Promise<number> => (await stream.size())!.messages;
  await fill();
  await trimmer.trim([], gone);
  expect(await messages()).toBe(2);
  await fill();
  await trimmer.trim([{ shardId: "s0", lane: 0, shard: null, groups: new Map([["main", null]]) }]);
  expect(await messages()).toBe(8);
  await trimmer.trim([], gone);
  expect(await messages()).toBe(2);
  await bus.close();
});

test("a finished copy stays for keepApplied, which counts anew when a group falls back into it or the trimmer is another", async () => {
  await using server = await NatsServer.start();
  const bus = await Bus.connect({ url: server.url, name: "test", log });
  const stream = bus.stream("p");
  await stream.ensure();
  for (const kind of [BatchKind.heartbeat, BatchKind.heartbeat, BatchKind.snapshotEnd]) {
    await stream.append(snap, message(kind, 1), (await stream.tail(snap))?.sequence ?? 0);
  }
  let nowMs = 0;
  const clock = { nowMs: () => 0, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  let trimmer = new StreamTrimmer("p", stream, 10_000, clock, log);
  const messagesAt = async (atMs: number, phase: "snap" | "live"): Promise<number> => {
    nowMs = atMs;
    const record = { epoch: 1, copy: 1, phase, offset: 3, sequence: 3 } as LaneRecord;
    const shard = { epoch: 1, copy: 1 } as ShardRecord;
    await trimmer.trim([{ shardId: "s0", lane: 0, shard, groups: new Map([["main", record]]) }]);
    return (await stream.size())!.messages;
  };
  expect(await messagesAt(1_000, "live")).toBe(3);
  expect(await messagesAt(10_999, "live")).toBe(3);
  // The destination was started from an older state: the copy is there to be read again.
  expect(await messagesAt(11_000, "snap")).toBe(3);
  expect(await messagesAt(12_000, "live")).toBe(3);
  expect(await messagesAt(21_999, "live")).toBe(3);
  trimmer = new StreamTrimmer("p", stream, 10_000, clock, log);
  expect(await messagesAt(22_000, "live")).toBe(3);
  expect(await messagesAt(31_999, "live")).toBe(3);
  expect(await messagesAt(32_000, "live")).toBe(1);
  await bus.close();
});

// Mutation: trim.ts, `#candidate` without `isUrgent`: nothing goes before `keepApplied` is over.
test("in need of room, what is applied goes at once, and so does a finished copy; never a subject's last message", async () => {
  await using server = await NatsServer.start();
  const bus = await Bus.connect({ url: server.url, name: "test", log });
  const stream = bus.stream("p");
  await stream.ensure();
  const append = async (subject: string, kind: BatchKind, behind: number): Promise<void> => {
    expect((await stream.append(subject, message(kind, 1), behind)).outcome).toBe("stored");
  };
  let nowMs = 0;
  const clock = { nowMs: () => 0, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  const trimmer = new StreamTrimmer("p", stream, 600_000, clock, log);
  const trim = async (offset: number, sequence: number, isUrgent: boolean): Promise<number> => {
    nowMs += 1_000;
    const lane = { epoch: 1, copy: 1, phase: "live", offset, sequence } as LaneRecord;
    const shard = { epoch: 1, copy: 1 } as ShardRecord;
    await trimmer.trim([{ shardId: "s0", lane: 0, shard, groups: new Map([["main", lane]]) }], [], isUrgent);
    return (await stream.size())!.messages;
  };
  await append(snap, BatchKind.heartbeat, 0); // 1
  await append(snap, BatchKind.snapshotEnd, 1); // 2
  await append(live, BatchKind.fence, 0); // 3
  for (let sequence = 4; sequence <= 9; sequence++) await append(live, BatchKind.heartbeat, sequence - 1);
  expect(await trim(1, 3, false)).toBe(9);
  expect(await trim(2, 6, false)).toBe(9);
  expect(await trim(3, 6, true)).toBe(5);
  expect(await stream.at(5)).toBeNull();
  expect(await stream.at(6)).not.toBeNull();
  expect(await trim(4, 9, true)).toBe(2);
  expect(await trim(5, 1_000, true)).toBe(2);
  expect([(await stream.tail(snap))?.sequence, (await stream.tail(live))?.sequence]).toEqual([2, 9]);
  await bus.close();
});
