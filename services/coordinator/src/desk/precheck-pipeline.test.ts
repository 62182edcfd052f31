import type { PrecheckRecord, PrecheckResult } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { merged } from "./precheck-pipeline.ts";

const texts = { title: "", code: null, found: "", expected: "", why: "", fix: "", tookMs: 0, waived: null };
const result = (id: string, level: PrecheckResult["level"], endpoint = "source"): PrecheckResult => ({
  ...texts,
  id,
  level,
  endpoint,
});
const recordOf = (results: PrecheckResult[], verdict: PrecheckRecord["report"]["verdict"]): PrecheckRecord => ({
  spec: 7,
  report: { at: 1, results, verdict },
  ignore: [],
  highestEpoch: 4,
});
const checked = (...results: PrecheckResult[]) => ({ report: { at: 2, results, verdict: "pass" as const }, highestEpoch: 0 });
const shortOf = ({ spec, report }: PrecheckRecord) => [
  spec,
  report.verdict,
  report.results.map(({ id, level, endpoint }) => `${id} ${endpoint} ${level}`),
];

describe("merged", () => {
  const before = recordOf(
    [result("a", "pass"), result("b", "fail", "source n1"), result("b", "pass", "source n2"), result("c", "warn")],
    "fail",
  );

  test("what a rerun of one check says takes its place, at all endpoints, and the verdict is that of all", () => {
    const next = merged(before, checked(result("b", "pass")), 7, true, []);
    expect(shortOf(next)).toEqual([7, "warn", ["a source pass", "b source pass", "c source warn"]]);
    expect(next.highestEpoch).toBe(4);
    const another = merged(before, checked(result("d", "fail")), 7, true, []);
    expect(shortOf(another)[2]).toContain("d source fail");
  });

  // Mutation: precheck-pipeline.ts, a part counts for the spec: a pipeline runs that was never checked whole.
  test("a few checks alone allow no start, nor do those of another spec", () => {
    expect(shortOf(merged(null, checked(result("b", "pass")), 7, true, []))).toEqual([0, "pass", ["b source pass"]]);
    expect(merged(before, checked(result("b", "pass")), 8, true, []).spec).toBe(0);
    expect(merged(before, checked(result("b", "pass")), 8, false, []).spec).toBe(8);
  });
});
