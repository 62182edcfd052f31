import { formatCount, printable } from "@sluice/cli";
import type { Comparison, WorkloadReport } from "@sluice/testkit";

const SHOWN = 20;

/** What is wrong at the end, in lines for the operator; none where destination and replicas are identical. */
export function verdict(comparison: Comparison, wrongCounters: readonly string[], load: WorkloadReport): string[] {
  const lines: string[] = [];
  if (!comparison.identical) {
    lines.push(`${formatCount(comparison.differenceCount)} differences between the replicas and the destination:`);
    for (const { db, key, what } of comparison.differences.slice(0, SHOWN))
      lines.push(`  db ${db}  ${key}  ${printable(what)}`);
    if (comparison.differenceCount > SHOWN) lines.push("  …");
  }
  if (wrongCounters.length > 0) {
    lines.push(`${formatCount(wrongCounters.length)} counters are not what the load has counted:`);
    for (const sentence of wrongCounters.slice(0, SHOWN)) lines.push(`  ${printable(sentence)}`);
  }
  if (load.errors > 0) {
    lines.push(`${formatCount(load.errors)} commands of the load failed at the source:`);
    for (const sample of load.errorSamples.slice(0, SHOWN)) lines.push(`  ${printable(sample)}`);
  }
  if (load.lost > 0)
    lines.push(`${formatCount(load.lost)} commands of the load had no answer: whether the source has them is not known`);
  return lines;
}
