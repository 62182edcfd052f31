import type { PrecheckReport, PrecheckResult } from "@sluice/wire";
import { printable } from "./printable.ts";
import { table } from "./table.ts";

/** What a server says can be long; the details have it whole. */
const MAX_FOUND = 70;

export interface PrecheckTableOptions {
  /** Why and fix for every check, and not only for those that are no pass. */
  readonly details?: boolean;
}

/** A line for every check of every endpoint, then the details of those that warn or fail. */
export function precheckTable(name: string, report: PrecheckReport, { details = false }: PrecheckTableOptions = {}): string {
  const { results } = report;
  const told = details ? results : results.filter(isRaised);
  const head = ["", "CHECK", "ENDPOINT", "FOUND"];
  const rows = results.map((result) => [markOf(result), result.id, printable(result.endpoint), shortened(result.found)]);
  return [
    ...(rows.length === 0 ? [] : [table([head, ...rows])]),
    ...told.map(precheckDetails),
    `${name}: ${verdictOf(report)}`,
  ].join("\n\n");
}

/** Everything that a check says. */
export function precheckDetails(result: PrecheckResult): string {
  const { id, endpoint, code, title, found, expected, why, fix, waived } = result;
  const parts = [
    ["found", found],
    ["expected", expected],
    ["why", why],
    ["fix", fix],
    ["waived", waived === null ? "" : waived.reason || "without a reason"],
  ].filter(([, text]) => text !== "");
  const lines = parts.map(([label, text]) => `  ${(label as string).padEnd(8)}  ${printable(text as string)}`);
  return [`${markOf(result)} ${id} · ${printable(endpoint)}${code === null ? "" : ` · ${code}`} · ${title}`, ...lines].join(
    "\n",
  );
}

/** Those that forbid a start. */
export function failedChecks({ results }: PrecheckReport): PrecheckResult[] {
  return results.filter(({ level, waived }) => level === "fail" && waived === null);
}

function isRaised({ level, waived }: PrecheckResult): boolean {
  return level !== "pass" && waived === null;
}

function markOf({ level, waived }: PrecheckResult): string {
  if (level !== "pass" && waived !== null) return "waived";
  return { pass: "ok", warn: "warn", fail: "FAIL" }[level];
}

function verdictOf(report: PrecheckReport): string {
  const failed = failedChecks(report).length;
  const raised = report.results.filter(isRaised).length;
  const of = report.results.length;
  if (of === 0) return "no check concerns it";
  const warned = raised === failed ? "" : ` ${raised - failed} warn.`;
  if (failed > 0) return `${failed} of ${of} checks ${failed === 1 ? "fails" : "fail"}, it may not start.${warned}`;
  return `none of ${of} checks fails, it may start.${warned}`;
}

function shortened(text: string): string {
  const plain = printable(text);
  return plain.length <= MAX_FOUND ? plain : `${plain.slice(0, MAX_FOUND - 1)}…`;
}
