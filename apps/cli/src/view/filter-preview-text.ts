import type { DatabasePreview, FilterPreview, GroupPreview, NamePreview, PatternPreview } from "@sluice/wire";
import { printable } from "./printable.ts";
import { formatCount } from "./quantity.ts";
import { table } from "./table.ts";

/** What the filters of a pipeline would do: each group's databases, patterns and commands; or a line for each name that was asked for. */
export function filterPreviewText({ name, sample, groups, names }: FilterPreview): string {
  if (sample === null) return namesTable(names);
  const head = `${name}: ${sampleText(sample)}`;
  return [head, ...groups.map((group) => groupText(group, sample.isWhole))].join("\n\n");
}

function sampleText({ keys, servers, isWhole, isCutShort }: NonNullable<FilterPreview["sample"]>): string {
  const where = servers === 1 ? "the source" : `${servers} servers of the source`;
  if (isWhole)
    return keys === 0 ? "the databases to copy hold no keys" : `all ${formatCount(keys)} keys of ${where} were looked at`;
  const short = isCutShort ? ", fewer than were asked for: the time was up" : "";
  return `a sample of ${formatCount(keys)} keys of ${where}${short}; numbers with ~ are estimates`;
}

function groupText(group: GroupPreview, isWhole: boolean): string {
  const about = isWhole ? "" : "~";
  const total = group.databases.reduce((sum, { keys }) => sum + keys, 0);
  const lines = [
    `GROUP ${group.group}: gets ${about}${formatCount(group.estimatedKeys)} of ${formatCount(total)} keys`,
    ...(group.databases.length === 0
      ? []
      : [table([DATABASES, ...group.databases.map((row) => databaseRow(row, about))], [2, 3, 4, 5, 6])]),
    ...patternLines(group),
    ...(group.own === 0 ? [] : [`${formatCount(group.own)} keys of the sample are Sluice's own and go nowhere`]),
    ...(group.excludedCommands.length === 0
      ? []
      : [`commands left out of changes: ${printable(group.excludedCommands.join(", "))}`]),
  ];
  return lines.join("\n");
}

const DATABASES = ["DATABASE", "BECOMES", "KEYS", "LOOKED AT", "TAKEN", "SHARE", "GETS"];

function databaseRow({ db, target, keys, sampled, taken, share, estimatedKeys }: DatabasePreview, about: string): string[] {
  if (target === null) return [String(db), "not copied", formatCount(keys), "", "", "", "0"];
  const part = share === null ? "?" : percent(share);
  return [
    String(db),
    String(target),
    formatCount(keys),
    formatCount(sampled),
    formatCount(taken),
    part,
    `${share === null ? "?" : about}${share === null ? "" : formatCount(estimatedKeys)}`,
  ];
}

function patternLines({ patterns, unmatched }: GroupPreview): string[] {
  if (patterns.length === 0) return ["no patterns: every key of these databases"];
  const others =
    unmatched.count === 0
      ? []
      : [["left out", "no pattern", formatCount(unmatched.count), "", unmatched.names.map(printable).join("  ")]];
  const rows = [["", "PATTERN", "DECIDES", "MATCHES", "SUCH AS"], ...patterns.map((one) => patternRow(one)), ...others];
  const silent = patterns.filter(({ matched }) => matched === 0);
  return [table(rows, [2, 3]), ...silent.map((one) => silentLine(one))];
}

function patternRow({ list, pattern, matched, decided, names }: PatternPreview): string[] {
  const verdict = list === "include" ? "taken" : "left out";
  return [verdict, shownPattern(pattern), formatCount(decided), formatCount(matched), names.map(printable).join("  ")];
}

function silentLine({ list, pattern, hint }: PatternPreview): string {
  const more = hint === null ? "" : `: ${printable(hint)}`;
  return `! ${list} ${shownPattern(pattern)} matches no key that was looked at${more}`;
}

function namesTable(names: readonly NamePreview[]): string {
  const rows = names.flatMap(({ name, groups }) =>
    groups.map(({ group, isTaken, list, pattern }) => [
      printable(name),
      group,
      isTaken ? "taken" : "left out",
      pattern === null ? (isTaken ? "every key is" : "no pattern matches") : `${list} ${shownPattern(pattern)}`,
    ]),
  );
  return table([["KEY", "GROUP", "", "BY"], ...rows]);
}

/** A bidirectional or invisible character in a pattern is shown as JSON has it. */
function shownPattern(pattern: string): string {
  return /^[\x20-\x7e]+$/.test(pattern) ? pattern : printable(JSON.stringify(pattern));
}

function percent(share: number): string {
  const value = share * 100;
  if (share > 0 && value < 0.1) return "<0.1 %";
  return `${value.toFixed(value > 0 && value < 9.95 ? 1 : 0)} %`;
}
