import { BatchKind, type Batch } from "@sluice/wire";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { LaneChain } from "./lane-chain.ts";

function batch(fields: Partial<Batch>): Batch {
  return {
    kind: BatchKind.changes,
    shard: "s0",
    epoch: 1,
    term: 1,
    previous: 0,
    last: 0,
    db: 0,
    replid: "r",
    rows: null,
    body: Buffer.alloc(0),
    part: null,
    besideCopy: false,
    ...fields,
  };
}

function steps(start: { epoch: number; offset: number }, batches: readonly Partial<Batch>[]): string[] {
  const chain = new LaneChain(start);
  return batches.map((fields) => {
    const next = batch(fields);
    const { kind } = chain.next(next);
    if (kind === "apply" && next.part?.final !== false) chain.advance(next.last);
    return kind;
  });
}

test("goes on behind the position, skips what is applied, takes the rest of an overlap", () => {
  const at = { epoch: 1, offset: 100 };
  expect(
    steps(at, [
      { previous: 50, last: 100 },
      { previous: 90, last: 120 },
      { previous: 120, last: 130 },
    ]),
  ).toEqual(["skip", "apply", "apply"]);
});

test("loud: a batch that begins behind the position is a gap, never skipped", () => {
  const chain = new LaneChain({ epoch: 1, offset: 100 });
  expect(chain.next(batch({ previous: 101, last: 200 }))).toEqual({ kind: "gap", expected: 100, found: 101 });
  expect(chain.next(batch({ previous: 101, last: 101, kind: BatchKind.fence })).kind).toBe("gap");
  expect(chain.offset).toBe(100);
});

test("one-writer-per-lane: after a fence batches of lower terms are void", () => {
  const fence = { kind: BatchKind.fence, term: 2, previous: 100, last: 100 };
  expect(
    steps({ epoch: 1, offset: 100 }, [
      { previous: 100, last: 110 },
      { ...fence, previous: 110, last: 110 },
      { previous: 110, last: 120 },
      { term: 2, previous: 110, last: 115 },
    ]),
  ).toEqual(["apply", "skip", "skip", "apply"]);
});

test("a higher epoch begins with a fence and nothing else; lower ones are void", () => {
  const at = { epoch: 3, offset: 10 };
  expect(
    steps(at, [
      { epoch: 2, previous: 500, last: 600 },
      { epoch: 4, previous: 7, last: 7, kind: BatchKind.fence },
    ]),
  ).toEqual(["skip", "newEpoch"]);
  expect(steps(at, [{ epoch: 4, previous: 10, last: 20 }])).toEqual(["gap"]);
});

// Mutation: lane-chain.ts, terms compared across epochs: the lane passes over the new epoch and all that follows.
test("terms compare inside an epoch: a higher epoch begins with whatever term its fence has", () => {
  expect(
    steps({ epoch: 3, offset: 10 }, [
      { epoch: 3, term: 5, previous: 10, last: 20 },
      { epoch: 4, term: 2, previous: 7, last: 7, kind: BatchKind.fence },
    ]),
  ).toEqual(["apply", "newEpoch"]);
});

test("a lane that is not live yet waits for the fence of its epoch", () => {
  const waiting = { epoch: 3, offset: Infinity };
  expect(
    steps(waiting, [
      { epoch: 3, previous: 900, last: 950 },
      { epoch: 3, previous: 900, last: 900, part: { id: 900, index: 0, final: false } },
      { epoch: 4, kind: BatchKind.fence, previous: 5, last: 5 },
    ]),
  ).toEqual(["skip", "skip", "newEpoch"]);
});

test("parts of a unit that is applied are skipped, parts of the next one are not", () => {
  const part = (index: number, final: boolean): Batch["part"] => ({ id: 50, index, final });
  const set = [
    { previous: 50, last: 50, part: part(0, false) },
    { previous: 50, last: 50, part: part(1, false) },
    { previous: 50, last: 80, part: part(2, true) },
  ];
  expect(steps({ epoch: 1, offset: 80 }, set)).toEqual(["skip", "skip", "skip"]);
  expect(steps({ epoch: 1, offset: 50 }, set)).toEqual(["apply", "apply", "apply"]);
});

test("applied-once, marks-only-grow: whatever is published again, and however it is cut, every unit is applied once, in order", () => {
  const cuts = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 8 })), { maxLength: 30 });
  fc.assert(
    fc.property(fc.nat(20), cuts, (start, spans) => {
      const chain = new LaneChain({ epoch: 1, offset: start });
      const applied: number[] = [];
      for (const [previous, length] of spans) {
        const next = batch({ previous, last: previous + length });
        const step = chain.next(next);
        expect(step.kind).toBe(previous > chain.offset ? "gap" : next.last <= chain.offset ? "skip" : "apply");
        if (step.kind !== "apply") continue;
        for (let unit = previous + 1; unit <= next.last; unit++) if (unit > chain.offset) applied.push(unit);
        chain.advance(next.last);
      }
      expect(applied).toEqual(applied.map((_, index) => start + 1 + index));
      expect(chain.offset).toBe(start + applied.length);
    }),
  );
});

test("a fence of a lower term behind a higher one is no overlap: what counts terms has lost its memory", () => {
  const fence = { kind: BatchKind.fence, previous: 100, last: 100 };
  expect(
    steps({ epoch: 1, offset: 100 }, [
      { ...fence, term: 4 },
      { ...fence, term: 1 },
    ]),
  ).toEqual(["skip", "regress"]);
});

test("case 60: what is applied already has to be of the history that it was applied in", () => {
  const kinds = (replid: string | null, ...batches: readonly Partial<Batch>[]): string[] => {
    const chain = new LaneChain({ epoch: 1, offset: 100 }, { upTo: 120, replid });
    return batches.map((fields) => chain.next(batch(fields)).kind);
  };
  const [before, covering, behind] = [
    { previous: 80, last: 100 },
    { previous: 100, last: 120 },
    { previous: 120, last: 130 },
  ];
  const other = { replid: "other" };
  // Known: it shows where the highest offset is, whatever was written before and behind it.
  expect(kinds("r", { ...before, ...other }, covering, { ...behind, ...other })).toEqual(["skip", "apply", "gap"]);
  expect(kinds("r", before, { ...covering, ...other })).toEqual(["skip", "otherHistory"]);
  // Nor does it begin and end before there: what covers it may never come.
  expect(kinds("r", before, { previous: 100, last: 110, ...other })).toEqual(["skip", "otherHistory"]);
  const digits = "0a1b2c3d".repeat(5);
  expect(kinds("0a1b2c3d", { ...covering, replid: digits })).toEqual(["apply"]);
  // Unknown: there has been one only.
  expect(kinds(null, { ...before, ...other }, { ...covering, ...other })).toEqual(["skip", "apply"]);
  expect(kinds(null, before, { ...covering, ...other })).toEqual(["skip", "otherHistory"]);
  // A promotion at that very offset is behind it.
  expect(kinds("r", { previous: 120, last: 120, kind: BatchKind.fence, ...other })).toEqual(["gap"]);
});
