import { silentLog } from "@sluice/runtime";
import { BatchKind, encodeBatch, liveSubject } from "@sluice/wire";
import { expect, test } from "vitest";
import { StoredSubjects } from "../source/stored-subjects.sample.ts";
import { readTails } from "./lane-tails.ts";
import { removeVoidChanges } from "./void-copies.ts";

/** Four lanes of epoch 5, each with a fence and three heartbeats. */
function world(): StoredSubjects {
  const stored = new StoredSubjects();
  for (const lane of [0, 1, 2, 3])
    for (const kind of [BatchKind.fence, BatchKind.heartbeat, BatchKind.heartbeat, BatchKind.heartbeat])
      put(stored, lane, kind, 5);
  return stored;
}

function put(stored: StoredSubjects, lane: number, kind: BatchKind, epoch: number): void {
  const head = { kind, shard: "s0", epoch, term: epoch, previous: 50, last: 50, db: 0, replid: "r" };
  const message = encodeBatch({ ...head, rows: null, body: Buffer.alloc(0), part: null, besideCopy: false });
  stored.put(liveSubject("p", "s0", lane), message);
}

// Mutations seen to fail it: void-copies.ts, `isLive` without its look at the end, and at the end's epoch; a trim below the fence's successor.
test("changes beside a copy that broke off go up to the new epoch's fence; a lane whose copy was stored keeps its own", async () => {
  const stored = world();
  stored.putCopy(1, 0, 5, false);
  stored.putCopy(1, 1, 5, true);
  stored.putCopy(1, 2, 4, true);
  const of = { stream: stored.stream, pipeline: "p", shard: "s0", lanes: [0, 1, 2, 3], log: silentLog() };
  const tails = await readTails(stored.stream, "p", "s0", 1, of.lanes);
  for (const lane of of.lanes) put(stored, lane, BatchKind.fence, 6);
  const fences = await Promise.all(
    of.lanes.map(async (lane) => (await stored.tail(liveSubject("p", "s0", lane)))?.sequence ?? 0),
  );
  const left = (): number[] => of.lanes.map((lane) => stored.count(liveSubject("p", "s0", lane)));
  await removeVoidChanges({ ...of, tails, fences, signal: AbortSignal.abort() });
  expect(left()).toEqual([5, 5, 5, 5]);
  await removeVoidChanges({ ...of, tails, fences, signal: new AbortController().signal });
  expect(left()).toEqual([1, 5, 1, 1]);
});
