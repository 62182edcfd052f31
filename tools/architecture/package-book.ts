import { packageHomes, type SourceTree } from "./source-tree.ts";

export interface OwnPackage {
  readonly name: string;
  /** Such as `libs/redis`. */
  readonly home: string;
  /** Names of our packages in its `dependencies`. */
  readonly ownDependencies: readonly string[];
}

const OWN_SCOPE = "@sluice/";

/** Our packages by name. */
export class PackageBook {
  readonly #byName = new Map<string, OwnPackage>();

  constructor(tree: SourceTree) {
    for (const home of packageHomes(tree)) {
      const manifest = JSON.parse(tree.get(`${home}/package.json`) ?? "{}") as { name: string; dependencies?: object };
      const ownDependencies = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith(OWN_SCOPE));
      this.#byName.set(manifest.name, { name: manifest.name, home, ownDependencies });
    }
  }

  all(): OwnPackage[] {
    return [...this.#byName.values()];
  }

  get(name: string): OwnPackage | undefined {
    return this.#byName.get(name);
  }

  /** The package that `path` belongs to, if it is in one. */
  holderOf(path: string): OwnPackage | undefined {
    return this.all().find(({ home }) => path.startsWith(`${home}/`));
  }

  /** Splits `@sluice/writer/main` into package and rest (`"/main"`, or empty); undefined for what is not ours. */
  ownTarget(target: string): { name: string; rest: string } | undefined {
    if (!target.startsWith(OWN_SCOPE)) return undefined;
    const [scope, name, ...rest] = target.split("/");
    return { name: `${scope}/${name}`, rest: rest.map((step) => `/${step}`).join("") };
  }
}

/** Tests and the repository's own tools, which no package ships. */
export function isShipped(path: string): boolean {
  return !path.startsWith("test/") && !path.startsWith("tools/") && !isTestOrSample(path) && !/\/test\//.test(path);
}

/** What is neither shipped nor compiled with what is: tests, and what several of them share. */
export function isTestOrSample(path: string): boolean {
  return isTestFile(path) || path.endsWith(".sample.ts");
}

export function isTestFile(path: string): boolean {
  return path.endsWith(".test.ts");
}
