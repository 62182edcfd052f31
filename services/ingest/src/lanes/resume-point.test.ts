import { BatchKind, type Batch } from "@sluice/wire";
import { expect, test } from "vitest";
import { resumePoint, type LaneTail } from "./resume-point.ts";

const REPLID = "a".repeat(40);

function batch(fields: Partial<Batch>): Batch {
  return {
    kind: BatchKind.changes,
    shard: "s0",
    epoch: 2,
    term: 1,
    previous: 0,
    last: 0,
    db: 0,
    replid: REPLID,
    rows: null,
    body: Buffer.alloc(0),
    part: null,
    besideCopy: false,
    ...fields,
  };
}

function tail(live: Partial<Batch>, snap: Partial<Batch> = {}): LaneTail {
  return { live: batch(live), snap: batch({ kind: BatchKind.snapshotEnd, ...snap }) };
}

test("continues from the lowest lane, with its database, and knows the highest", () => {
  const tails = [tail({ last: 900, db: 1 }), tail({ last: 300, db: 4 }), tail({ last: 1200, db: 7 })];
  expect(resumePoint(tails)).toEqual({ epoch: 2, replid: REPLID, offset: 300, db: 4, highest: 1200 });
});

test("the history is that of the newest term: a fence with another one may have reached some lanes only", () => {
  const tails = [
    tail({ last: 50, term: 4, replid: "old" }),
    tail({ last: 60, term: 5, replid: "new" }),
    tail({ last: 70, term: 4, replid: "old" }),
  ];
  expect(resumePoint(tails)?.replid).toBe("new");
});

test.each<readonly [string, readonly LaneTail[]]>([
  ["there is no lane", []],
  ["a lane has no changes yet", [{ live: null, snap: batch({ kind: BatchKind.snapshotEnd }) }]],
  ["a lane has no copy yet", [{ live: batch({}), snap: null }]],
  ["the copy of one lane was not finished", [tail({}), tail({}, { kind: BatchKind.snapshot })]],
  ["the copy that was finished is that of an earlier epoch", [tail({ epoch: 3 })]],
  ["the lanes speak of different epochs", [tail({}), tail({ epoch: 3 }, { epoch: 3 })]],
])("nothing can be continued when %s", (_, tails) => {
  expect(resumePoint(tails)).toBeNull();
});
