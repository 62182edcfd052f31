import type { LaneStream, Records } from "@sluice/bus";
import { ManualClock } from "@sluice/runtime";
import { recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { CopyNeeded } from "../copy-needed.ts";
import type { LaneReport } from "../lane-report.ts";
import { LaneCopies } from "./lane-copies.ts";

/** A lane that copy 4 of epoch 3 serves, by the shard's record, and what it wrote to the records. */
async function served() {
  const written: unknown[] = [];
  const copies = [{ epoch: 3, copy: 4, groups: { main: 7 }, phase: "stored" }];
  const records = {
    get: async (key: string) =>
      Promise.resolve(key === recordKey.shard("p", "s0") ? { value: { epoch: 3, copies }, revision: 1 } : null),
    compareAndSet: async (...[key, , value]: readonly unknown[]) => Promise.resolve(written.push({ key, value })),
  } as unknown as Records;
  const unused = { stream: {} as LaneStream, report: {} as LaneReport, clock: new ManualClock() };
  const names = { pipeline: "p", group: "main", shard: "s0", lane: 0 };
  const lane = new LaneCopies({ ...names, addition: { number: 7, above: 2 }, records, ...unused });
  expect(await lane.awaited(new AbortController().signal)).toEqual({ epoch: 3, copy: 4, isStored: true });
  return { lane, written };
}

// Mutation: lane-copies.ts, `refuse` without "superseded": the group's copy of the later epoch is void before the lane has begun with it.
test.each([
  ["of the copy that serves the lane has the group get another copy", 3, "asked", [{ epoch: 3, copy: 4 }]],
  ["of an earlier epoch, whose changes the lane still read, is past with it", 2, "superseded", []],
  ["of a later epoch needs one above that", 4, "epoch", []],
] as const)("a lack %s", async (_, epoch, refusal, refused) => {
  const { lane, written } = await served();
  expect(await lane.refuse(new CopyNeeded("something lacks", epoch))).toBe(refusal);
  const told = refused.map((copy) => ({ groups: { main: { ...copy, why: "something lacks" } } }));
  expect(written).toEqual(told.map((value) => ({ key: recordKey.voidCopies("p", "s0"), value })));
  expect(await lane.served()).toEqual(refused.length > 0 ? null : { epoch: 3, copy: 4, isStored: true });
});
