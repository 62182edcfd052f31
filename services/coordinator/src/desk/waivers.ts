import { precheckRecord, precheckVerdict, recordKey, type PrecheckRecord, type PrecheckRequest } from "@sluice/wire";
import { precheckIds, refuseUnknownChecks, waived } from "../precheck/run-prechecks.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { ATTEMPTS, changedInBetween } from "./spec-change.ts";

/** Checks whose warnings the operator knows of, each once. */
export type Waivers = PrecheckRecord["ignore"];

/** Those that are kept, and those that a request adds: of one check the newer. What another release kept of checks of its own goes. */
export function withWaivers(kept: Waivers, added: NonNullable<PrecheckRequest["ignore"]>): Waivers {
  const others = kept.filter(({ id }) => precheckIds.includes(id) && !added.some((waiver) => waiver.id === id));
  return [...others, ...added.map(({ id, reason }) => ({ id, reason }))];
}

/** The report as these waivers have it, whatever was known of them when its checks ran. */
export function waivedReport(report: PrecheckRecord["report"], ignore: Waivers): PrecheckRecord["report"] {
  const results = report.results.map((result) => waived(result, ignore, report.at));
  return { ...report, results, verdict: precheckVerdict(results) };
}

/**
 * Keeps waivers in the record where the prechecks take them from, whoever runs them; a check that is under way finds them when it ends.
 * Throws `Refusal` 422 API-001, 409 PIP-003; `Retryable` BUS-001.
 */
export async function keepWaivers(
  name: string,
  ignore: NonNullable<PrecheckRequest["ignore"]>,
  { records, clock }: Pick<DeskDeps, "records" | "clock">,
): Promise<void> {
  refuseUnknownChecks({ ignore });
  const key = recordKey.precheck(name);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(key, precheckRecord);
    const value = {
      spec: current?.value.spec ?? 0,
      report: current?.value.report ?? { at: clock.nowMs(), results: [], verdict: "fail" as const },
      ignore: withWaivers(current?.value.ignore ?? [], ignore),
      highestEpoch: current?.value.highestEpoch ?? 0,
    };
    if ((await records.compareAndSet(key, precheckRecord, value, current?.revision ?? 0)) !== null) return;
  }
  throw changedInBetween(name);
}
