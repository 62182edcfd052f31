import fc from "fast-check";
import { expect, test } from "vitest";
import { Pacer } from "./pacer.ts";

test("holds the rate exactly over any sequence of ticks", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50_000 }),
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }),
      (rate, ticks) => {
        const pacer = new Pacer(rate);
        let nowMs = 1000;
        let taken = pacer.take(nowMs);
        for (const tickMs of ticks) taken += pacer.take((nowMs += tickMs));
        expect(Math.abs(taken - ((nowMs - 1000) * rate) / 1000)).toBeLessThan(1.001);
      },
    ),
  );
});

test("catches up no more than a quarter of a second after a stall, and nothing after a pause", () => {
  const pacer = new Pacer(1000);
  pacer.take(0);
  expect(pacer.take(60_000)).toBe(250);
  pacer.pause();
  expect(pacer.take(120_000)).toBe(0);
  expect(pacer.take(120_010)).toBe(10);
});

test("what was overdrawn is waited for", () => {
  const pacer = new Pacer(1000);
  pacer.take(0);
  pacer.overdrawn(15);
  expect(pacer.take(10)).toBe(0);
  expect(pacer.take(20)).toBe(5);
});

test("refuses a rate of 0", () => {
  expect(() => new Pacer(0)).toThrow("ratePerSecond");
});
