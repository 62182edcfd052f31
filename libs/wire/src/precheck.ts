import { z } from "zod";

/** How a check ended. A `fail` forbids the start; a `warn` is told and forbids nothing. */
export const precheckLevel = z.enum(["pass", "warn", "fail"]);
export type PrecheckLevel = z.output<typeof precheckLevel>;

/** What an operator knew of and wanted all the same. */
const precheckWaiver = z.object({
  at: z.number().describe("when it was waived; ms since 1970"),
  reason: z.string().describe("why, in the operator's words; empty where none was given"),
});

/** What one check says of one endpoint. */
export const precheckResult = z.object({
  id: z.string().describe("the check, e.g. source-backlog; never changes its meaning"),
  title: z.string().describe("what the check makes sure of"),
  endpoint: z.string().describe("of what: source, source 10.0.0.1:7000, destination main, bus"),
  level: precheckLevel,
  code: z.string().nullable().describe("the error code of the matter, see `sluice explain`; always present in a fail"),
  found: z.string().describe("what is there"),
  expected: z.string().describe("what should be there"),
  why: z.string().describe("what happens otherwise"),
  fix: z.string().describe("what to do about it; in a pass what would have to be done"),
  tookMs: z.number().describe("how long the check took, all its endpoints together"),
  waived: precheckWaiver.nullable().describe("present where the operator waived it: it then counts as a pass"),
});
export type PrecheckResult = z.output<typeof precheckResult>;

/** Everything that was checked in one go. Also the record `pipeline.<name>.precheck`. */
export const precheckReport = z.object({
  at: z.number().describe("when it was asked for; ms since 1970"),
  results: z.array(precheckResult).describe("in the order of the list of checks"),
  verdict: precheckLevel.describe("the worst level of all results that are not waived"),
});
export type PrecheckReport = z.output<typeof precheckReport>;

/** Ids of checks are kebab-case and short; lists of them are bounded. */
const checkId = z
  .string()
  .max(64)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "expected the id of a check, e.g. source-backlog");
const MOST_IDS = 100;
const LONGEST_REASON = 500;

/** Which checks to run, and which of their warnings are known and wanted. */
export const precheckRequest = z.strictObject({
  only: z.array(checkId).max(MOST_IDS).optional().describe("run these checks alone; all others are left out of the report"),
  ignore: z
    .array(
      z.strictObject({
        id: checkId.describe("the check whose warnings are waived, at every endpoint"),
        reason: z.string().max(LONGEST_REASON).default("").describe("why; kept in the report"),
      }),
    )
    .max(MOST_IDS)
    .optional()
    .describe("a warn of these checks counts as a pass; of a fail only where the check allows that"),
});
export type PrecheckRequest = z.output<typeof precheckRequest>;

/** The worst level of results; what is waived counts as a pass. */
export function precheckVerdict(results: readonly Pick<PrecheckResult, "level" | "waived">[]): PrecheckLevel {
  const levels = new Set(results.map(({ level, waived }) => (waived === null ? level : "pass")));
  return levels.has("fail") ? "fail" : levels.has("warn") ? "warn" : "pass";
}
