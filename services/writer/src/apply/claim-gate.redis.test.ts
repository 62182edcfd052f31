import { slotTag } from "@sluice/redis";
import { ManualClock } from "@sluice/runtime";
import { RedisServer, waitUntil } from "@sluice/testkit";
import { formatMark, laneMarkKey } from "@sluice/wire";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { earlierHistoriesEnded } from "./claim-gate.ts";

const LOOK_MS = 200;

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(async () => server[Symbol.asyncDispose]());
beforeEach(async () => void (await server.client().flushall()));

/** Of a copy of one of two shards, each with a lane on either half of the slot space; `floors`: theirs. */
function gate(floors: readonly [s0: number, s1: number], port = server.port) {
  const [clock, stopping] = [new ManualClock(), new AbortController()];
  const slots = ["0-1,16382-16383", "2-16381"] as const;
  const shards = slots.map((own, index) => ({ id: `s${index}`, host: "h", port: 1, slots: own, floor: floors[index] ?? 0 }));
  let isOver = false;
  const passed = earlierHistoriesEnded({
    topology: { mode: "cluster", lanes: 2, shards, events: [] },
    pipeline: "p",
    group: "main",
    endpoint: { host: "127.0.0.1", port },
    clock,
    signal: stopping.signal,
  }).finally(() => {
    isOver = true;
  });
  /** Once it has looked. */
  const isHeld = async (): Promise<boolean> => {
    await waitUntil("it has looked", () => isOver || clock.sleeping === 1);
    return !isOver;
  };
  return { passed, isHeld, lookAgain: async () => clock.advance(LOOK_MS), stop: () => stopping.abort() };
}

async function mark(shard: string, lane: number, epoch: number): Promise<void> {
  const position = { epoch, copy: 1, phase: "live", shard, offset: 100, sequence: 1 } as const;
  await server.client().set(laneMarkKey(slotTag(0), "p", "main", shard, lane), formatMark(position));
}

// Mutations: claim-gate.ts, it returns behind its first look, looks at one lane of a shard only, or takes the floor itself for a later epoch: the
// slot's former lane writes old changes over the copy.
test("one-writer-per-lane: a copy waits until every lane of a shard whose slots changed hands is in a later epoch", async () => {
  await mark("s1", 0, 4);
  await mark("s1", 1, 3);
  const { isHeld, lookAgain, passed } = gate([0, 3]);
  for (let look = 0; look < 3; look++) {
    expect(await isHeld()).toBe(true);
    await lookAgain();
  }
  expect(await isHeld()).toBe(true);
  await mark("s1", 1, 4);
  await lookAgain();
  await passed;
});

// Mutations: claim-gate.ts, `isEarlier` of an absent mark is true, or goes by the highest floor of all shards: the copy waits for a lane that has
// nothing to claim, for ever; shards without a floor are asked for, too.
test("a copy does not wait for lanes without a mark, nor for shards that are above their own floor, or have none", async () => {
  await mark("s0", 0, 3);
  await mark("s1", 0, 4);
  const { isHeld, passed } = gate([2, 3]);
  expect(await isHeld()).toBe(false);
  await passed;
  // Nothing is asked where nobody listens.
  await gate([0, 0], 1).passed;
});

// Mutation: claim-gate.ts, it looks for ever, whatever the signal: the lane that is to end fails.
test("a copy that waits ends with its lane, quietly", async () => {
  await mark("s1", 0, 3);
  const { isHeld, passed, stop } = gate([0, 3]);
  expect(await isHeld()).toBe(true);
  stop();
  await passed;
});

// Mutation: claim-gate.ts, what fails is thrown as it is: nobody knows what to do about it.
test("loud: a copy whose destination does not say how far its lanes are does not begin", async () => {
  await expect(gate([0, 3], 1).passed).rejects.toMatchObject({ name: "Retryable", code: "DST-001" });
  const client = server.client();
  await client.acl("SETUSER", "default", "-mget");
  await expect(gate([0, 3]).passed).rejects.toMatchObject({ name: "Halt", code: "DST-002" });
  await client.acl("SETUSER", "default", "+mget");
});
