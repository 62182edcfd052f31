import { expect, test } from "vitest";
import { CopyTries } from "./copy-tries.ts";

const SECOND = 1_000;

test("three copies may break off at once; then the source is left alone for longer and longer", () => {
  const tries = new CopyTries();
  let nowMs = 0;
  const waits: number[] = [];
  for (let index = 0; index < 14; index++) {
    expect(tries.broken).toBe(index);
    waits.push(tries.waitMs(nowMs) / SECOND);
    nowMs += tries.waitMs(nowMs);
    expect(tries.waitMs(nowMs)).toBe(0);
    tries.ended(null, nowMs, "the link was closed");
  }
  expect(waits).toEqual([0, 0, 0, 15, 30, 60, 120, 240, 480, 900, 900, 900, 900, 900]);
  expect(tries.why).toBe("the link was closed");
});

test("a copy that is continued, or whose link lives on for ten minutes, begins the count anew; one that is cut just behind its RDB does not", () => {
  const tries = new CopyTries();
  for (let index = 0; index < 4; index++) tries.ended(599 * SECOND, 0, "closed");
  expect(tries.waitMs(0)).toBe(30 * SECOND);
  tries.ended(600 * SECOND, 0, "closed");
  expect([tries.broken, tries.waitMs(0)]).toEqual([0, 0]);
  for (let index = 0; index < 4; index++) tries.ended(null, 0, "closed");
  tries.cameThrough();
  expect(tries.waitMs(0)).toBe(0);
});
