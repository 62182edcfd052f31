import { expect, test } from "vitest";
import { LatencyRule, LEAST_BYTES_PER_SECOND } from "./latency-rule.ts";

const MB = 1_000_000;
const LIMIT_MS = 20;

/** A rule for a copy that has begun. */
function ruleOf(limitMs: number, mostBytesPerSecond: number): LatencyRule {
  const rule = new LatencyRule(limitMs, mostBytesPerSecond);
  rule.copyBegins();
  return rule;
}

/** A verdict by five measurements; the pace then. */
function verdict(rule: LatencyRule, latencyMs: number, readBytesPerSecond: number): number {
  for (let sample = 0; sample < 5; sample++)
    expect(rule.measured(latencyMs, readBytesPerSecond), `measurement ${sample}`).toBe(sample === 4);
  return rule.bytesPerSecond;
}

test("the median decides: two slow answers of five are none, three are", () => {
  const rule = ruleOf(LIMIT_MS, 100 * MB);
  for (const latencyMs of [500, 1, 500, 1, 20]) rule.measured(latencyMs, 50 * MB);
  expect([rule.medianMs, rule.isHolding]).toEqual([20, false]);
  for (const latencyMs of [1, 21, 21, 1, 500]) rule.measured(latencyMs, 50 * MB);
  expect([rule.medianMs, rule.isHolding]).toEqual([21, true]);
});

test("halves down to 1 MB/s, and recovers in smaller steps to what is allowed", () => {
  const rule = ruleOf(LIMIT_MS, 10 * MB);
  const down = Array.from({ length: 6 }, () => verdict(rule, 30, rule.bytesPerSecond));
  expect(down).toEqual([5 * MB, 2.5 * MB, 1.25 * MB, MB, MB, MB]);
  const up = Array.from({ length: 7 }, () => verdict(rule, 20, rule.bytesPerSecond));
  expect(up.map((pace) => pace / MB)).toEqual([1.5, 2.25, 3.375, 5.0625, 7.593_75, 10, 10]);
  expect(rule.isHolding).toBe(false);
});

test("where no pace is set the first step is half of what was read, and it ends where that was", () => {
  const rule = ruleOf(LIMIT_MS, Infinity);
  expect(verdict(rule, 5, 80 * MB)).toBe(Infinity);
  expect(verdict(rule, 30, 80 * MB)).toBe(40 * MB);
  expect(verdict(rule, 10, 40 * MB)).toBe(60 * MB);
  expect(verdict(rule, 10, 60 * MB)).toBe(Infinity);
  expect(rule.isHolding).toBe(false);
});

test("a source that does not even send what it may is slowed down from there", () => {
  const rule = ruleOf(LIMIT_MS, 100 * MB);
  expect(verdict(rule, 30, 6 * MB)).toBe(3 * MB);
});

test("a source that is slow while it sends nothing is not slow by our reading", () => {
  for (const most of [Infinity, 100 * MB]) {
    const rule = ruleOf(LIMIT_MS, most);
    expect(verdict(rule, 500, 0)).toBe(most);
    expect(rule.isHolding).toBe(false);
  }
});

test("what is allowed may be less than the least, and is never exceeded or undercut", () => {
  const rule = ruleOf(LIMIT_MS, 100_000);
  expect(LEAST_BYTES_PER_SECOND).toBe(MB);
  expect(verdict(rule, 500, 100_000)).toBe(100_000);
  expect(verdict(rule, 1, 100_000)).toBe(100_000);
});

/** A rule that knows how long the source takes while nothing is read of it. */
function based(...latenciesMs: readonly number[]): LatencyRule {
  const rule = new LatencyRule(LIMIT_MS, 100 * MB);
  for (const latencyMs of latenciesMs) expect(rule.measured(latencyMs, 0)).toBe(false);
  rule.copyBegins();
  return rule;
}

// Mutations seen to fail it: latency-rule.ts, the limit alone; the base as the mean.
test("a source that is far away is not slow by our reading: what counts is twice what it takes before the copy, where that is more", () => {
  const far = based(500, 31, 29, 30, 30, 30);
  expect([far.baseMs, far.thresholdMs]).toEqual([30, 60]);
  expect(verdict(far, 60, 50 * MB)).toBe(100 * MB);
  expect(verdict(far, 61, 50 * MB)).toBe(25 * MB);
  expect(verdict(far, 60, 25 * MB)).toBe(37.5 * MB);
  const near = based(3, 2, 1);
  expect([near.baseMs, near.thresholdMs]).toEqual([2, LIMIT_MS]);
  expect(verdict(near, 21, 50 * MB)).toBe(25 * MB);
});

test("measurements before the copy are no part of a verdict; without any the limit alone counts", () => {
  const rule = based(500, 500, 500);
  expect([rule.medianMs, rule.isHolding]).toEqual([0, false]);
  const unknown = based();
  expect([unknown.baseMs, unknown.thresholdMs]).toEqual([0, LIMIT_MS]);
  expect(verdict(unknown, 21, 50 * MB)).toBe(25 * MB);
});
