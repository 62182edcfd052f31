/** Not copied at all. */
export const NOWHERE = -1;

/**
 * Which databases of the source a writer group gets, and the number that each has in the destination. Several of the source may
 * be one in the destination: keys of one name are one key there, and what is written last counts.
 */
export class DatabaseMap {
  readonly #copied: ReadonlySet<number> | null;
  readonly #targets: ReadonlyMap<number, number>;
  /** Databases of the source by their number in the destination; without those that keep theirs, where all are copied. */
  readonly #sources = new Map<number, number[]>();

  /** `copied`: of the source; null for all. `numbers`: those that change, from → to; all others keep theirs. */
  constructor(copied: readonly number[] | null, numbers: Readonly<Record<string, number>>) {
    this.#copied = copied === null ? null : new Set(copied);
    this.#targets = new Map(Object.entries(numbers).map(([from, to]) => [Number(from), to]));
    for (const db of this.#copied ?? this.#targets.keys()) {
      const target = this.targetOf(db);
      this.#sources.set(target, [...(this.#sources.get(target) ?? []), db]);
    }
  }

  /** Everything is copied, and every database keeps its number. */
  get isIdentity(): boolean {
    return this.#copied === null && [...this.#targets].every(([from, to]) => from === to);
  }

  /** The number in the destination, or `NOWHERE`; also for what is no number of a database. */
  targetOf(db: number): number {
    if (!Number.isInteger(db) || db < 0 || this.#copied?.has(db) === false) return NOWHERE;
    return this.#targets.get(db) ?? db;
  }

  /** The one database of the source that is `target` in the destination; null where there are several or none. */
  sourceOf(target: number): number | null {
    const sources = this.#sources.get(target) ?? [];
    const keepsItsOwn = this.#copied === null && !this.#targets.has(target);
    if (keepsItsOwn) return sources.length === 0 ? target : null;
    return sources.length === 1 ? (sources[0] as number) : null;
  }

  /** Several databases of the source are this one in the destination. */
  isMerged(target: number): boolean {
    const keepsItsOwn = this.#copied === null && !this.#targets.has(target);
    return (this.#sources.get(target)?.length ?? 0) + (keepsItsOwn ? 1 : 0) > 1;
  }

  /** All numbers that the group writes to, in ascending order; null where every database is copied. */
  get targets(): readonly number[] | null {
    return this.#copied === null ? null : [...this.#sources.keys()].toSorted((a, b) => a - b);
  }
}
