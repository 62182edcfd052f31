import type { LaneStream } from "@sluice/bus";
import { ManualClock } from "@sluice/runtime";
import { BatchKind, copyOffsetBody, encodeBatch, type Batch, type ServedCopy } from "@sluice/wire";
import { expect, test } from "vitest";
import type { LaneSession } from "../lane-session.ts";
import { GroupCopy } from "./group-copy.ts";
import type { LaneCopies } from "./lane-copies.ts";

const own = { epoch: 3, copy: 4, isStored: false };

function batch(fields: Partial<Batch>): Batch {
  const place = { shard: "s0", epoch: 3, term: 1, previous: 900, last: 950, db: 0, replid: "r" };
  const nothing = { rows: null, body: Buffer.alloc(0), part: null, besideCopy: false };
  return { kind: BatchKind.heartbeat, ...place, ...nothing, ...fields };
}

/** Copy 4 of epoch 3 for a lane whose changes are `stored`, while `served` serves its group; `left`: messages that nobody has read. */
function made(stored: readonly Batch[], served: ServedCopy | null) {
  const left = stored.map((one, index) => ({ sequence: index + 1, payload: encodeBatch(one) }));
  const last = left.at(-1) ?? null;
  const nextIfReady = () => left.shift();
  const reader = {
    nextIfReady,
    next: async () => Promise.resolve(nextIfReady() ?? null),
    close: async () => Promise.resolve(),
  };
  const stream = {
    tail: async () => Promise.resolve(last),
    read: async () => Promise.resolve(reader),
  } as unknown as LaneStream;
  const names = { pipeline: "p", shard: "s0", lane: 0, label: "main.s0.0" };
  const { signal } = new AbortController();
  const options = { ...names, stream, clock: new ManualClock(), signal, report: { tell: () => undefined } };
  const copies = { served: async () => Promise.resolve(served) } as unknown as LaneCopies;
  return { copy: new GroupCopy({ ...options, options } as unknown as LaneSession, copies, own), left };
}

// Mutations: group-copy.ts, `isOver` without the lane's tail: what lacks of a copy that a later epoch took the place of voids it, as long as the
// shard's record does not say so; `isEndDue` false: the lane waits for ever for an end that the bus has lost.
test.each([
  ["is on its way", {}, own, { isOver: false, isEndDue: false }],
  ["is stored", {}, { ...own, isStored: true }, { isOver: false, isEndDue: true }],
  ["gave way to the group's next one", {}, { ...own, copy: 5, isStored: true }, { isOver: true, isEndDue: false }],
  ["gave way to a later epoch's", {}, { epoch: 4, copy: 4, isStored: true }, { isOver: true, isEndDue: false }],
  ["is void", {}, null, { isOver: true, isEndDue: false }],
  ["is on its way, and a later epoch has begun in the changes", { epoch: 4 }, own, { isOver: true, isEndDue: false }],
] as const)("a group's copy that %s", async (_, tail, served, expected) => {
  const { copy } = made([batch(tail)], served);
  expect({ isOver: await copy.isOver(), isEndDue: await copy.isEndDue() }).toEqual(expected);
});

// Mutation: group-copy.ts, `landing` without "over": while the later epoch's changes come, the lane passes over them, and never gets to its copy.
test("where a later epoch begins in the changes, the search for where a copy ends is over, whatever comes behind", async () => {
  const begins = batch({ kind: BatchKind.fence, epoch: 4, previous: 5, last: 5 });
  const { copy, left } = made([batch({}), begins, batch({ epoch: 4, previous: 5, last: 2_000 })], own);
  const end = batch({ kind: BatchKind.snapshotEnd, previous: 1, last: 1, body: copyOffsetBody(1_000) });
  expect(await copy.landing(end, 1)).toBeNull();
  expect(left.map(({ sequence }) => sequence)).toEqual([3]);
});
