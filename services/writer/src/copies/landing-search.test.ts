import fc from "fast-check";
import { BatchKind, type Batch } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { LaneChain } from "../progress/lane-chain.ts";
import { PartAssembly } from "../progress/part-assembly.ts";
import { LandingSearch, type LandingStep } from "./landing-search.ts";

const POINT = { epoch: 3, offset: 1_000, replid: "a" };

function batch(previous: number, last: number, fields: Partial<Batch> = {}): Batch {
  const kind = previous === last ? BatchKind.fence : BatchKind.changes;
  return {
    kind,
    shard: "s0",
    epoch: 3,
    term: 1,
    previous,
    last,
    db: 0,
    replid: "a",
    rows: null,
    body: Buffer.alloc(0),
    part: null,
    besideCopy: false,
    ...fields,
  };
}

/** What the search ends with, and at which message; "on" where it reads to the end. */
function found(batches: readonly Batch[]): [kind: LandingStep["kind"], index: number, why: string] {
  const search = new LandingSearch(POINT);
  for (const [index, one] of batches.entries()) {
    const step = search.next(one, index);
    if (step.kind === "found" && one.part === null) expect(step.landing).toEqual({ offset: POINT.offset, sequence: index });
    if (step.kind !== "on") return [step.kind, index, step.kind === "void" ? step.why : ""];
  }
  return ["on", batches.length, ""];
}

describe("where a lane goes on behind a copy of offset 1000 that was made beside its changes", () => {
  // Mutation: landing-search.ts, `batch.last <= offset` reads on: behind a message that ends at S, and nothing more, it waits for ever.
  test.each([
    ["in the middle of a message", [batch(900, 900), batch(900, 960), batch(960, 1010)], 2],
    ["at the end of one", [batch(900, 1000), batch(1000, 1100)], 0],
    ["at the fence with which the epoch begins", [batch(1000, 1000), batch(1000, 1100)], 0],
    ["at a heartbeat", [batch(900, 950), batch(950, 1200, { kind: BatchKind.heartbeat })], 1],
    ["behind what an earlier epoch left", [batch(900, 5000, { epoch: 2 }), batch(950, 950), batch(950, 1001)], 2],
    ["at an edge, by the history behind it", [batch(900, 1000, { replid: "b" }), batch(1000, 1000)], 1],
    ["at an edge, by the history before it", [batch(900, 1000), batch(1000, 1000, { replid: "b" })], 0],
  ])("%s", (_name, batches, index) => {
    expect(found(batches)).toEqual(["found", index, ""]);
  });

  const part = (index: number, fields: Partial<Batch> = {}): Batch =>
    batch(960, 960, { kind: BatchKind.changes, part: { id: 960, index, final: false }, ...fields });
  const lastPart = (index: number, last: number, fields: Partial<Batch> = {}): Batch =>
    batch(960, last, { part: { id: 960, index, final: true }, ...fields });

  // Mutations: landing-search.ts, a unit in parts landed at as any other message (the lane then lacks its begin, for ever); `#follow` without the fence.
  test.each([
    ["before the end of one", [batch(900, 960), part(0), part(1), lastPart(2, 2_000)], { offset: 960, sequence: 1 }],
    ["at the end of one", [batch(900, 960), part(0), part(1), lastPart(2, 1_000)], { offset: 1_000, sequence: 3 }],
    [
      "before the end of one that was begun twice",
      [part(0), part(1), batch(960, 960, { term: 2 }), part(0, { term: 2 }), lastPart(1, 2_000, { term: 2 })],
      { offset: 960, sequence: 3 },
    ],
    ["before the end of one, and its begin is gone", [part(1), lastPart(2, 2_000)], null],
    [
      "before the end of one that a fence cut",
      [part(0), part(1), batch(960, 960, { term: 2 }), lastPart(2, 2_000, { term: 2 })],
      null,
    ],
  ])("a unit in parts: %s", (_name, batches, landing) => {
    const search = new LandingSearch(POINT);
    const steps = batches.map((one, index) => search.next(one, index));
    expect(steps.slice(0, -1).every(({ kind }) => kind === "on")).toBe(true);
    const why = expect.stringContaining("first parts are not stored") as string;
    expect(steps.at(-1)).toEqual(landing === null ? { kind: "void", why } : { kind: "found", landing });
  });

  // Mutation: landing-search.ts, offset S with the first part: it is passed over as applied already, and its last part can't be used.
  test("what a lane reads from there is the whole unit, once", () => {
    const batches = [batch(900, 960), part(0), part(1), lastPart(2, 2_000), batch(2_000, 2_100)];
    const search = new LandingSearch(POINT);
    const step = batches.map((one, index) => search.next(one, index)).find(({ kind }) => kind === "found");
    if (step?.kind !== "found") throw new Error("not found");
    const chain = new LaneChain({ epoch: 3, offset: step.landing.offset });
    const parts = new PartAssembly();
    const read = batches.slice(step.landing.sequence);
    expect(read.map((one) => chain.next(one).kind).slice(0, 3)).toEqual(["apply", "apply", "apply"]);
    const length = read.slice(0, 3).reduce((sum, { body }) => sum + body.length, 0);
    expect(read.slice(0, 3).map((one) => parts.add(one)?.body.length ?? null)).toEqual([null, null, length]);
  });

  test("above all that is stored: the message is waited for", () => {
    expect(found([batch(900, 900), batch(900, 999)])[0]).toBe("on");
    expect(found([])[0]).toBe("on");
    // It ends at S in another history: a fence may follow that leads on in the copy's.
    expect(found([batch(900, 1000, { replid: "b" })])[0]).toBe("on");
  });

  // Mutation: landing-search.ts, the replication id not compared: a copy of the one history is gone on from in the other.
  test.each([
    ["lies before all that the lane still holds", [batch(1001, 1001), batch(1001, 1100)], "begin behind 1001"],
    ["lies in another history: the source failed over in between", [batch(900, 1100, { replid: "b" })], "of history b"],
    [
      "lies at an edge of another history",
      [batch(900, 1000, { replid: "b" }), batch(1000, 1100, { replid: "b" })],
      "of history b",
    ],
    ["lies where the bus lost something", [batch(900, 950), batch(1050, 1100)], "are missing"],
  ])("a copy is void that %s", (_name, batches, why) => {
    const [kind, , told] = found(batches);
    expect([kind, told]).toEqual(["void", expect.stringContaining(why) as string]);
  });

  test("a later epoch ends it, and batches of a term that is over do not count", () => {
    expect(found([batch(900, 950), batch(5, 5, { epoch: 4 })])[0]).toBe("over");
    expect(found([batch(900, 900, { term: 2 }), batch(900, 1100, { term: 1 }), batch(900, 1200, { term: 2 })])).toEqual([
      "found",
      2,
      "",
    ]);
  });

  // Mutation: landing-search.ts, `found` one message later: what the found one holds above S is passed over.
  test("wherever the messages are cut, everything above S is in the found message or behind it, and nothing below S is needed from before", () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 901, max: 1_099 }), { maxLength: 30 });
    fc.assert(
      fc.property(cuts, (edges) => {
        const ends = [...edges.toSorted((a, b) => a - b), 1_100];
        const batches = ends.map((end, index) => batch(ends[index - 1] ?? 900, end));
        const [kind, index] = found(batches);
        const at = batches[index];
        expect([kind, at !== undefined && at.previous <= POINT.offset && at.last >= POINT.offset]).toEqual(["found", true]);
      }),
    );
  });
});
