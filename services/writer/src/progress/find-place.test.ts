import type { LaneStream, Records } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { BatchKind, encodeBatch, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { CopyNeeded } from "../copy-needed.ts";
import { AppliedHistory } from "./applied-history.ts";
import { findPlace } from "./find-place.ts";

/** Where a lane at `position` reads on from, in a stream whose last message is of epoch `tail`, in a pipeline that is at epoch 3. */
async function placeAt(position: Position, tail: number) {
  const batch = { kind: BatchKind.heartbeat, shard: "s0", epoch: tail, term: 1, previous: 800, last: 950, db: 0, replid: "r" };
  const payload = encodeBatch({ ...batch, rows: null, body: Buffer.alloc(0), part: null, besideCopy: false });
  const stream = {
    tail: async () => Promise.resolve({ sequence: 50, payload }),
    at: async () => Promise.resolve(null),
  } as unknown as LaneStream;
  const records = { get: async () => Promise.resolve({ value: { epoch: 3 }, revision: 1 }) } as unknown as Records;
  const names = { pipeline: "p", group: "main", shard: "s0", lane: 0, label: "main.s0.0" };
  const deps = { ...names, records, stream, applied: new AppliedHistory(), log: silentLog() };
  return findPlace(position, { reached: position.offset, reachedIn: null }, deps);
}

// Mutation: find-place.ts, `lost` is not thrown: the lane waits for a later epoch that nobody begins.
test.each(["live", "snap"] as const)(
  "case 61: a lane that is %s, whose log ends in an earlier epoch, needs a copy",
  async (phase) => {
    const position: Position = { epoch: 3, copy: 1, phase, shard: "s0", offset: 900, sequence: 60 };
    const failed = await placeAt(position, 2).catch((cause: unknown) => cause);
    expect(failed).toBeInstanceOf(CopyNeeded);
    expect(failed).toMatchObject({ epoch: 3, message: expect.stringContaining("its log ends in epoch 2") as string });
    expect(await placeAt(position, 3)).toMatchObject({ kind: "read" });
  },
);
