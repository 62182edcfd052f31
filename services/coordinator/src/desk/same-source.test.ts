import { expect, test } from "vitest";
import { isSameSource } from "./same-source.ts";

test.each([
  ["redis://a", "redis://a:6379", true],
  ["redis://a", "redis://b", false],
  ["redis://a", "rediss://a", false],
  ["sentinel://a,b/m", "sentinel://b:26379,c/m", true],
  ["sentinel://a,b/m", "sentinel://c,d/m", false],
  ["sentinel://a/m", "sentinel://a/other", false],
  ["sentinel://a/m", "sentinels://a/m", false],
  ["sentinel://a:6379/m", "redis://a", false],
])("%s and %s: %s", (one, other, isSame) => {
  expect([isSameSource(one, other), isSameSource(other, one)]).toEqual([isSame, isSame]);
});
