import { precheckVerdict, type PrecheckReport, type PrecheckResult } from "@sluice/wire";

export function sampleResult(fields: Partial<PrecheckResult> = {}): PrecheckResult {
  return {
    id: "source-backlog",
    title: "the backlog bears an absence",
    endpoint: "source 10.0.0.1:7000",
    level: "pass",
    code: null,
    found: "256 MB",
    expected: "64 MB or more",
    why: "a short absence would need a full copy",
    fix: "CONFIG SET repl-backlog-size 256mb",
    tookMs: 3,
    waived: null,
    ...fields,
  };
}

/** As the coordinator answers it. */
export function sampleReport(...results: readonly PrecheckResult[]): PrecheckReport {
  return { at: 1_000, results: [...results], verdict: precheckVerdict(results) };
}

export const failing = sampleResult({
  id: "destination-empty",
  title: "the destination is empty",
  endpoint: "destination main",
  level: "fail",
  code: "DST-009",
  found: "12 keys\u0007",
  expected: "no keys",
  why: "`existing: refuse`",
  fix: "Empty it.",
});
