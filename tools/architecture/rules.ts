/** Name of a package to the names of our packages that its shipped sources may import. Every package has an entry. */
export type ImportTable = Readonly<Record<string, readonly string[]>>;

/** Packages from the registry that only some of our packages may touch; `name` ending in `/` stands for a whole scope. */
export interface ReservedImport {
  readonly name: string;
  readonly only: readonly string[];
  readonly why: string;
}

export interface ArchitectureRules {
  readonly mayImport: ImportTable;
  readonly reserved: readonly ReservedImport[];
  /** Folders (each ends in `/`) whose sources may call `process.exit`. */
  readonly mayExit: readonly string[];
  /**
   * Packages that start programs of ours, and whose. They name a program by `import.meta.resolve("…/main")`, have its
   * package among their dependencies, and know nothing of it at compile time.
   */
  readonly mayStart: ImportTable;
  /** Files in which the target of `import()` may be computed: a program that this process turns into. */
  readonly mayComputeImports: readonly string[];
  /** Words that say nothing about what a file holds: forbidden as the name, or the last word of the name, of a file or folder. */
  readonly emptyNames: readonly string[];
  readonly maxLines: number;
  readonly maxMainLines: number;
  readonly maxDecisionLines: number;
  /** Where vitest looks for tests; a test file elsewhere would never run. */
  readonly testPlaces: readonly RegExp[];
}
