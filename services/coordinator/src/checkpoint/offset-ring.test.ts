import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OffsetRing } from "./offset-ring.ts";

function ringOf(samples: readonly (readonly [offset: number, atMs: number])[]): OffsetRing {
  const ring = new OffsetRing();
  for (const [offset, atMs] of samples) ring.add(offset, atMs);
  return ring;
}

describe("OffsetRing", () => {
  const ring = ringOf([
    [100, 0],
    [180, 1000],
    [260, 2000],
    [300, 3000],
  ]);

  test("the lag is the age of the newest applied sample", () => {
    expect(ring.lagSeconds(100, 3200)).toBe(3.2);
    expect(ring.lagSeconds(200, 3200)).toBe(2.2);
    expect(ring.lagSeconds(299, 3200)).toBe(1.2);
  });

  test("it is 0 when the newest sample is applied, however old that is", () => {
    expect(ring.lagSeconds(300, 3200)).toBe(0);
    expect(ring.lagSeconds(301, 99_000)).toBe(0);
  });

  test("it is unknown when no sample is applied, or none was taken", () => {
    expect(ring.lagSeconds(99, 3200)).toBeNull();
    expect(new OffsetRing().lagSeconds(0, 0)).toBeNull();
  });

  test("while nothing is written the lag counts from the last time the offset was seen", () => {
    const idle = ringOf([
      [100, 0],
      [100, 1000],
      [100, 2000],
      [150, 3000],
    ]);
    expect(idle.size).toBe(2);
    expect(idle.lagSeconds(120, 3500)).toBe(1.5);
  });

  // Mutation: offset-ring.ts, samples taken later count as well.
  test("what was sampled after a lane was heard says nothing of it, what the source had written by then does", () => {
    expect(ring.lagSeconds(260, 2500)).toBe(0);
    expect(ring.lagSeconds(180, 2500)).toBe(1.5);
    // Written by 1 s, though seen again at 5 s.
    const idle = ringOf([
      [100, 0],
      [150, 1000],
      [150, 5000],
      [160, 6000],
    ]);
    expect(idle.lagSeconds(120, 2000)).toBe(2);
    expect(idle.lagSeconds(150, 3000)).toBe(0);
  });

  test("an offset that goes back begins a new history", () => {
    const restarted = ringOf([
      [100, 0],
      [50, 1000],
    ]);
    expect(restarted.size).toBe(1);
    expect(restarted.lagSeconds(49, 1000)).toBeNull();
  });

  test("is bounded, never tells too little, and tells the truth about the recent past", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.nat(), (count, seed) => {
        const long = new OffsetRing();
        for (let index = 0; index < count; index++) long.add(index * 10, index * 1000);
        expect(long.size).toBeLessThanOrEqual(1024);
        const nowMs = (count - 1) * 1000 + 1;
        const applied = seed % count;
        const truth = applied === count - 1 ? 0 : (nowMs - applied * 1000) / 1000;
        const told = long.lagSeconds(applied * 10 + 5, nowMs)!;
        expect(told).toBeGreaterThanOrEqual(truth);
        if (count - applied < 500) expect(told).toBe(truth);
      }),
      { numRuns: 20 },
    );
  });
});
