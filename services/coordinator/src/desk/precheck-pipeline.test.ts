import { recordKey, type PrecheckRecord, type PrecheckResult } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { checkStored, merged, precheckPipeline } from "./precheck-pipeline.ts";
import { SampleRecords, sampleDesk } from "./records.sample.ts";

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

  // Mutation: precheck-pipeline.ts, the spec stays: a pipeline starts that nothing was asked of but whether its server answers.
  test("where a gate opens, what it had kept from being asked has to be asked before a start", () => {
    const shut = recordOf(
      [result("source-reachable", "fail"), result("destination-clock", "pass", "destination main")],
      "fail",
    );
    const open = merged(shut, checked(result("source-reachable", "pass")), 7, true, []);
    expect(shortOf(open)).toEqual([0, "pass", ["source-reachable source pass", "destination-clock destination main pass"]]);
    const stillShut = merged(shut, checked(result("source-reachable", "fail")), 7, true, []);
    expect([stillShut.spec, stillShut.report.verdict]).toEqual([7, "fail"]);
    const nodes = recordOf(
      [result("source-reachable", "fail", "source a"), result("source-reachable", "fail", "source b")],
      "fail",
    );
    expect(merged(nodes, checked(result("source-reachable", "fail", "source b")), 7, true, []).spec).toBe(0);
  });

  test("a waiver holds for what was found before it was given", () => {
    const persistence = recordOf([result("destination-persistence", "warn"), result("source-reachable", "fail")], "fail");
    const ignore = [
      { id: "destination-persistence", reason: "known" },
      { id: "source-reachable", reason: "known" },
    ];
    const next = merged(persistence, checked(), 7, true, ignore);
    expect(next.report.results.map(({ waived }) => waived?.reason)).toEqual(["known", undefined]);
  });
});

const nowhere = { name: "p", source: { url: "redis://127.0.0.1:1" }, destinations: [{ url: "redis://127.0.0.1:1" }] };

describe("checks of a pipeline", () => {
  // Mutation: precheck-pipeline.ts, `ignore` as it was read before the checks.
  test("waivers that are given while they run are kept, and judged by", async () => {
    const records = new SampleRecords();
    const deps = sampleDesk(records);
    const revision = records.write(recordKey.spec("p"), { pipeline: nowhere, desired: "checking", createdAt: 1, isNew: true });
    const given = { spec: 0, report: { at: 1, results: [], verdict: "fail" }, highestEpoch: 0 };
    const early = { id: "source-backlog", reason: "early" };
    records.write(recordKey.precheck("p"), { ...given, ignore: [early] });
    let isLate = false;
    records.meddle = (key) => {
      if (key !== recordKey.precheck("p") || isLate) return;
      isLate = true;
      records.write(key, { ...given, ignore: [early, { id: "source-wait", reason: "late" }] });
    };
    const spec = (await records.get(recordKey.spec("p"), { parse: (value: unknown) => value } as never)) as never;
    const request = { ignore: [{ id: "source-sentinel", reason: "own" }] };
    const { ignore, spec: checkedSpec } = await checkStored("p", spec, request, deps);
    expect(ignore.map(({ reason }) => reason)).toEqual(["early", "late", "own"]);
    expect(checkedSpec).toBe(revision);
  });

  test("a record of another pipeline that can't be read keeps nobody from being checked", async () => {
    const records = new SampleRecords();
    records.write(recordKey.spec("p"), { pipeline: nowhere, desired: "created", createdAt: 1, isNew: true });
    records.write(recordKey.spec("q"), { pipeline: { name: "q", source: 7 }, desired: "running", createdAt: 1 });
    records.keys = async () => Promise.resolve([recordKey.spec("p"), recordKey.spec("q")]);
    const { results } = await precheckPipeline("p", { only: ["source-reachable"] }, sampleDesk(records));
    expect(results.map(({ id }) => id)).toContain("source-reachable");
  });
});
