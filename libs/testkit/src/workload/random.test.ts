import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random, WeightedChoice } from "./random.ts";

describe("Random", () => {
  test("gives the same sequence for the same seed, for ever", () => {
    const random = new Random(1);
    expect([random.uint32(), random.uint32(), random.uint32()]).toEqual([2_420_951_833, 2_513_034_076, 3_847_892_949]);
  });

  test("other seeds give other sequences", () => {
    const firsts = new Set(Array.from({ length: 1000 }, (_, seed) => new Random(seed).uint32()));
    expect(firsts.size).toBe(1000);
  });

  test("between stays within its bounds and reaches both", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 0, max: 5 }), (seed, low, span) => {
        const random = new Random(seed);
        const drawn = new Set(Array.from({ length: 400 }, () => random.between(low, low + span)));
        expect(drawn).toEqual(new Set(Array.from({ length: span + 1 }, (_, index) => low + index)));
      }),
      { numRuns: 20 },
    );
  });

  test("bits are even", () => {
    const random = new Random(9);
    const counts = Array.from({ length: 32 }, () => 0);
    for (let draw = 0; draw < 4000; draw++) {
      const value = random.uint32();
      for (let bit = 0; bit < 32; bit++) counts[bit] = (counts[bit] ?? 0) + ((value >>> bit) & 1);
    }
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });
});

describe("WeightedChoice", () => {
  test("draws in proportion and never a weight of 0", () => {
    const choice = new WeightedChoice({ often: 3, never: 0, rarely: 1 });
    const random = new Random(4);
    const drawn = Array.from({ length: 4000 }, () => choice.draw(random));
    expect(drawn).not.toContain("never");
    expect(Math.abs(drawn.filter((name) => name === "rarely").length - 1000)).toBeLessThan(120);
  });

  test("refuses weights that can't be", () => {
    expect(() => new WeightedChoice({ a: 0 })).toThrow("no weight");
    expect(() => new WeightedChoice({ a: -1 })).toThrow("the weight of a");
  });
});
