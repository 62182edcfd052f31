import { expect, test } from "vitest";
import { neededBytes, StreamGauge } from "./stream-gauge.ts";

const MB = 1_000_000;
const size = (bytes: number, limitBytes: number | null = 100 * MB) => ({ messages: 1, bytes, limitBytes });

test("is high from 80 % of the limit on, until it is below 70 %", () => {
  const gauge = new StreamGauge();
  const pressures = [79, 80, 71, 70, 69.9, 79, 81].map((share, at) => {
    const before = gauge.pressure;
    expect(gauge.take(size(share * MB), at * 1_000)).toBe(gauge.pressure !== before);
    return gauge.pressure;
  });
  expect(pressures).toEqual(["none", "high", "high", "high", "none", "none", "high"]);
});

test("is full when a batch has had no room for 3 s", () => {
  const gauge = new StreamGauge();
  const at = (ms: number, bytes: number): string => {
    gauge.take(size(bytes), ms);
    return gauge.pressure;
  };
  expect(at(0, 99.5 * MB)).toBe("high");
  expect(at(2_000, 98 * MB)).toBe("high");
  expect(at(3_000, 99.5 * MB)).toBe("high");
  expect(at(5_999, 99.9 * MB)).toBe("high");
  expect(at(6_000, 99.9 * MB)).toBe("full");
  expect(at(7_000, 90 * MB)).toBe("high");
  expect(at(8_000, 10 * MB)).toBe("none");
});

test("without a limit, and without a stream, there is no pressure", () => {
  const gauge = new StreamGauge();
  gauge.take(size(1e15, null), 0);
  expect(gauge.pressure).toBe("none");
  gauge.take(null, 5_000);
  expect([gauge.pressure, gauge.size]).toEqual(["none", null]);
});

test("what a copy needs is told by the share of its keys that filled the stream, and a margin", () => {
  expect(neededBytes(10 * MB, 1, 4)).toBe(50 * MB);
  expect(neededBytes(10 * MB, 0, 4)).toBeNull();
  expect(neededBytes(10 * MB, 5, 0)).toBeNull();
});
