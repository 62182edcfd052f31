import { posix } from "node:path";
import { PackageBook } from "./package-book.ts";
import type { ArchitectureRules } from "./rules.ts";
import type { SourceTree } from "./source-tree.ts";

interface ProjectFile {
  readonly references?: readonly { readonly path: string }[];
}

interface References {
  readonly wanted: readonly string[];
  readonly tolerated?: readonly string[];
}

/** One line per package that the table or the compiler does not know as its package.json describes it. */
export function checkPackages(tree: SourceTree, book: PackageBook, rules: ArchitectureRules): string[] {
  const faults: string[] = [];
  const names = book.all().map(({ name }) => name);
  for (const name of [...Object.keys(rules.mayImport), ...Object.keys(rules.mayStart)]) {
    if (!names.includes(name)) faults.push(`test/architecture.test.ts:1: ${name} is no package; allowed: ${names.join(", ")}`);
  }
  for (const { name, home, ownDependencies } of book.all()) {
    const imported = rules.mayImport[name];
    const started = rules.mayStart[name] ?? [];
    if (imported === undefined) faults.push(`${home}/package.json:1: ${name} has no entry in the table of who may import whom`);
    const allowed = [...(imported ?? []), ...started];
    for (const other of ownDependencies) {
      const fault = `${home}/package.json:1: depends on ${other}; allowed: ${allowed.join(", ") || "none of our packages"}`;
      if (!allowed.includes(other)) faults.push(fault);
    }
    const compiled = ownDependencies.filter((other) => !started.includes(other));
    const needed = { wanted: homesOf(book, compiled), tolerated: homesOf(book, ownDependencies) };
    faults.push(...referenceFaults(tree, `${home}/tsconfig.json`, needed, "the dependencies that it imports"));
  }
  const homes = book.all().map(({ home }) => home);
  faults.push(
    ...referenceFaults(tree, "tsconfig.json", { wanted: [...homes, "tsconfig.tests.json"] }, "every package, and the tests"),
  );
  faults.push(...referenceFaults(tree, "tsconfig.tests.json", { wanted: homes }, "every package"));
  return faults;
}

function homesOf(book: PackageBook, names: readonly string[]): string[] {
  return names.map((name) => book.get(name)?.home ?? name);
}

/** `tsc -b` and turbo must agree on what is built before what. */
function referenceFaults(tree: SourceTree, path: string, needed: References, rule: string): string[] {
  const { wanted, tolerated = [] } = needed;
  const project = JSON.parse(tree.get(path) ?? "{}") as ProjectFile;
  const found = (project.references ?? []).map((reference) => posix.join(posix.dirname(path), reference.path));
  const missing = wanted.filter((home) => !found.includes(home));
  const extra = found.filter((home) => !wanted.includes(home) && !tolerated.includes(home));
  return [
    ...missing.map((home) => `${path}:1: no reference to ${home}; allowed: ${rule}, all of them`),
    ...extra.map((home) => `${path}:1: a reference to ${home}; allowed: only ${rule}`),
  ];
}
