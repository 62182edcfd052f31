import { posix } from "node:path";
import type { SourceModule } from "./source-module.ts";

/**
 * One line per cycle between files, at the import that closes it. Imports of types alone are no edge: nothing of them is left
 * when the program runs.
 */
export function checkCycles(modules: readonly SourceModule[]): string[] {
  const edges = new Map(modules.map((module) => [module.path, edgesOf(module)]));
  const faults: string[] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (finished.has(path)) return;
    const here = [...trail, path];
    for (const [target, line] of edges.get(path) ?? []) {
      const start = here.indexOf(target);
      if (start < 0) visit(target, here);
      else
        faults.push(`${path}:${line}: cycle ${[...here.slice(start), target].join(" -> ")}; allowed: import type, or one way`);
    }
    finished.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return faults;
}

function edgesOf(module: SourceModule): [target: string, line: number][] {
  return module.references.flatMap(({ form, target, line, isTypeOnly }) => {
    if (isTypeOnly || target === null || !target.startsWith(".") || form === "import.meta.resolve()") return [];
    return [[posix.join(posix.dirname(module.path), target), line] as [string, number]];
  });
}
