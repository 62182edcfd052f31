import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Path from the root of the repository, with `/`, to the text of a file. */
export type SourceTree = ReadonlyMap<string, string>;

const ROOTS = ["libs", "services", "apps", "test", "tools", "docs/decisions"];
const NOT_OURS = new Set(["node_modules", "dist", "fixtures"]);
const READ = /(\.ts|\.md|package\.json|tsconfig\.json)$/;

/** Reads everything the architecture rules speak of; `root` is the folder of the repository. */
export function readSourceTree(root: string): SourceTree {
  const tree = new Map<string, string>();
  for (const path of ROOTS) addFolder(root, path, tree);
  for (const path of ["package.json", "tsconfig.json", "tsconfig.tests.json", ".oxlintrc.json"]) {
    tree.set(path, readFileSync(join(root, path), "utf8"));
  }
  return tree;
}

/** The folders that hold a package, such as `libs/redis`, in order. */
export function packageHomes(tree: SourceTree): string[] {
  return [...tree.keys()]
    .flatMap((path) => /^((?:libs|services|apps)\/[^/]+)\/package\.json$/.exec(path)?.[1] ?? [])
    .toSorted();
}

function addFolder(root: string, folder: string, tree: Map<string, string>): void {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!NOT_OURS.has(entry.name)) addFolder(root, path, tree);
    } else if (READ.test(entry.name)) tree.set(path, readFileSync(join(root, path), "utf8"));
  }
}
