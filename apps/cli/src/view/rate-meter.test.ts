import { expect, test } from "vitest";
import { RateMeter } from "./rate-meter.ts";

test("growth per second over the window", () => {
  const meter = new RateMeter(1_000);
  expect(meter.perSecond).toBe(0);
  meter.add(0, 100);
  expect(meter.perSecond).toBe(0);
  meter.add(500, 200);
  expect(meter.perSecond).toBe(200);
  meter.add(1_500, 200);
  expect(meter.perSecond).toBe(0);
});

test("a counter that was started anew does not count backwards", () => {
  const meter = new RateMeter();
  meter.add(0, 5_000);
  meter.add(1_000, 10);
  expect(meter.perSecond).toBe(0);
  meter.add(2_000, 30);
  expect(meter.perSecond).toBe(20);
});
