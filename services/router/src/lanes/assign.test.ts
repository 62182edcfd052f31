import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assign } from "./assign.ts";

const from = (record: Record<string, string>): Map<string, string> => new Map(Object.entries(record));

function counts(assignment: ReadonlyMap<string, string>, live: readonly string[]): number[] {
  return live.map((member) => [...assignment.values()].filter((owner) => owner === member).length);
}

describe("assign", () => {
  test("gives all work to the only live member", () => {
    expect(assign(["a", "b"], ["w1"], new Map())).toEqual(from({ a: "w1", b: "w1" }));
  });

  test("moves the work of a dead member and nothing else", () => {
    const previous = from({ a: "w1", b: "w2", c: "w2", d: "w1" });
    expect(assign(["a", "b", "c", "d"], ["w1", "w3"], previous)).toEqual(from({ a: "w1", b: "w3", c: "w3", d: "w1" }));
  });

  test("a new member takes one item when the others have two and one", () => {
    const after = assign(["a", "b", "c"], ["w1", "w2", "w3"], from({ a: "w1", b: "w1", c: "w2" }));
    expect(after).toEqual(from({ a: "w1", b: "w3", c: "w2" }));
  });

  test("one lane does not move when a second member comes", () => {
    expect(assign(["a"], ["w0", "w1"], from({ a: "w1" }))).toEqual(from({ a: "w1" }));
  });

  test("work of an awaited owner stays, and is left out of the balance", () => {
    const after = assign(["a", "b", "c"], ["w2"], from({ a: "w1", b: "w1" }), new Set(["w1"]));
    expect(after).toEqual(from({ a: "w1", b: "w1", c: "w2" }));
  });

  test("an awaited instance gets no new work, and nobody gets any where nobody lives", () => {
    expect(assign(["a", "b"], [], from({ a: "w1", b: "gone" }), new Set(["w1"]))).toEqual(from({ a: "w1" }));
  });
});

const names = fc.uniqueArray(fc.constantFrom("w0", "w1", "w2", "w3", "w4", "w5"), { maxLength: 6 });
const items = fc.uniqueArray(
  fc.integer({ min: 0, max: 30 }).map((n) => `item${n}`),
  { maxLength: 31 },
);
const owners = fc.dictionary(
  fc.integer({ min: 0, max: 30 }).map((n) => `item${n}`),
  fc.constantFrom("w0", "w1", "w2", "w3", "w4", "w5", "gone"),
);

describe("assign, for any work, members and previous assignment", () => {
  test("all work has a live owner where there is a member, and the counts differ by at most 1", () => {
    fc.assert(
      fc.property(items, names, owners, (wanted, live, previous) => {
        fc.pre(live.length > 0);
        const after = assign(wanted, live, from(previous));
        expect([...after.keys()].toSorted()).toEqual(wanted.toSorted());
        const load = counts(after, live);
        expect(Math.max(...load) - Math.min(...load)).toBeLessThanOrEqual(1);
        expect(load.reduce((sum, n) => sum + n, 0)).toBe(wanted.length);
      }),
    );
  });

  test("no balanced assignment needs fewer moves", () => {
    fc.assert(
      fc.property(items, names, owners, (wanted, live, previous) => {
        fc.pre(live.length > 0);
        const before = from(previous);
        const after = assign(wanted, live, before);
        const stayed = wanted.filter((item) => after.get(item) === before.get(item)).length;
        // The most that can stay: every balanced way to choose who has one more, tried by brute force over members.
        const share = Math.floor(wanted.length / live.length);
        const held = live.map((member) => wanted.filter((item) => before.get(item) === member).length);
        let best = 0;
        for (let mask = 0; mask < 1 << live.length; mask++) {
          const larger = live.filter((_, index) => (mask >> index) & 1).length;
          if (larger !== wanted.length % live.length) continue;
          const keeps = held.map((n, index) => Math.min(n, share + ((mask >> index) & 1)));
          best = Math.max(
            best,
            keeps.reduce((sum, n) => sum + n, 0),
          );
        }
        expect(stayed).toBe(best);
      }),
    );
  });

  test("the order of the input does not matter, and a second run changes nothing", () => {
    fc.assert(
      fc.property(items, names, owners, (wanted, live, previous) => {
        const after = assign(wanted, live, from(previous));
        expect(assign(wanted.toReversed(), live.toReversed(), new Map(Object.entries(previous).toReversed()))).toEqual(after);
        expect(assign(wanted, live, after)).toEqual(after);
      }),
    );
  });
});
