import { checkCycles } from "./check-cycles.ts";
import { checkImports } from "./check-imports.ts";
import { checkDecisions, checkLayout } from "./check-layout.ts";
import { checkPackages } from "./check-packages.ts";
import { PackageBook } from "./package-book.ts";
import type { ArchitectureRules } from "./rules.ts";
import { readModule } from "./source-module.ts";
import type { SourceTree } from "./source-tree.ts";

/** Everything in `tree` that breaks `rules`: one line each, `file:line: what; allowed: …`. Empty when all is well. */
export function checkArchitecture(tree: SourceTree, rules: ArchitectureRules): string[] {
  const modules = [...tree].filter(([path]) => path.endsWith(".ts")).map(([path, text]) => readModule(path, text));
  const book = new PackageBook(tree);
  return [
    ...checkPackages(tree, book, rules),
    ...checkImports(modules, book, rules),
    ...checkCycles(modules),
    ...checkLayout(modules, rules),
    ...checkDecisions(tree, rules),
  ];
}
