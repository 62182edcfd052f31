import { isShipped, isTestFile } from "./package-book.ts";
import type { ArchitectureRules } from "./rules.ts";
import { countLines, type SourceModule } from "./source-module.ts";
import type { SourceTree } from "./source-tree.ts";

/** One line per file whose name, place, length or way to end breaks the rules. */
export function checkLayout(modules: readonly SourceModule[], rules: ArchitectureRules): string[] {
  return modules.flatMap((module) => [
    ...lengthFaults(module, rules),
    ...nameFaults(module.path, rules),
    ...exitFaults(module, rules),
    ...placeFaults(module.path, rules),
  ]);
}

/** One line per decision record that is too long, misnamed, doubled in number, or lacks one of its three sections. */
export function checkDecisions(tree: SourceTree, rules: ArchitectureRules): string[] {
  const faults: string[] = [];
  const numbers = new Map<string, string>();
  for (const [path, text] of tree) {
    const name = /^docs\/decisions\/(.*)$/.exec(path)?.[1];
    if (name === undefined) continue;
    const number = /^(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1];
    if (number === undefined) faults.push(`${path}:1: name; allowed: NNNN-title-in-kebab-case.md`);
    else if (numbers.has(number))
      faults.push(`${path}:1: number ${number}; allowed: the next, ${numbers.get(number)} has this one`);
    else numbers.set(number, path);
    const lines = countLines(text);
    if (lines > rules.maxDecisionLines) faults.push(`${path}:${lines}: ${lines} lines; allowed: ${rules.maxDecisionLines}`);
    for (const section of ["Context", "Decision", "Consequences"]) {
      if (!new RegExp(`^## ${section}$`, "m").test(text))
        faults.push(`${path}:1: no section "## ${section}"; allowed: all three`);
    }
  }
  return faults;
}

function lengthFaults({ path, lineCount }: SourceModule, rules: ArchitectureRules): string[] {
  if (path.endsWith(".generated.ts")) return [];
  const isServiceMain = /^services\/[^/]+\/src\/main\.ts$/.test(path);
  const limit = isServiceMain ? rules.maxMainLines : rules.maxLines;
  return lineCount > limit ? [`${path}:${lineCount}: ${lineCount} lines; allowed: ${limit}`] : [];
}

function nameFaults(path: string, rules: ArchitectureRules): string[] {
  const isEmpty = (step: string): boolean => rules.emptyNames.some((word) => new RegExp(`(^|-)${word}$`).test(step));
  const empty = path.split("/").find((step) => isEmpty(step.replace(/\..*$/, "")));
  return empty === undefined ? [] : [`${path}:1: the name "${empty}"; allowed: the noun for what it holds`];
}

function exitFaults({ path, exitLines }: SourceModule, rules: ArchitectureRules): string[] {
  if (!isShipped(path) || rules.mayExit.some((folder) => path.startsWith(folder))) return [];
  return exitLines.map((line) => `${path}:${line}: process.exit; allowed: only in ${rules.mayExit.join(", ")}`);
}

function placeFaults(path: string, rules: ArchitectureRules): string[] {
  if (!isTestFile(path) || rules.testPlaces.some((place) => place.test(path))) return [];
  return [
    `${path}:1: a test that no vitest project runs; allowed: ${rules.testPlaces.map((place) => place.source).join(", ")}`,
  ];
}
