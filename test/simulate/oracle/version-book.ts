import type { TouchedKey } from "../redis/sim-server.ts";
import type { Held } from "./value-text.ts";

interface Version extends Held {
  readonly offset: number;
}

interface Unit {
  readonly offset: number;
  readonly names: readonly string[];
}

const NOTHING: Version = { offset: 0, value: null, expireAtMs: -1 };

/** A key of a database as one text. */
export function nameOf({ db, key }: TouchedKey): string {
  return `${db} ${key}`;
}

export function keyOf(name: string): TouchedKey {
  const space = name.indexOf(" ");
  return { db: Number(name.slice(0, space)), key: name.slice(space + 1) };
}

/** Everything that the keys of one source server have ever held, by offset: what a destination at an offset must hold. */
export class VersionBook {
  readonly #versions = new Map<string, Version[]>();
  readonly #units: Unit[] = [];

  /** The book of a replica that has taken this one's stream up to `offset` and goes on by itself. */
  branch(offset: number): VersionBook {
    const other = new VersionBook();
    for (const [name, versions] of this.#versions) {
      other.#versions.set(
        name,
        versions.filter((version) => version.offset <= offset),
      );
    }
    other.#units.push(...this.#units.filter((unit) => unit.offset <= offset));
    return other;
  }

  /** A unit that ends at `offset` left the keys as given. */
  add(offset: number, written: ReadonlyMap<string, Held>): void {
    this.#units.push({ offset, names: [...written.keys()] });
    for (const [name, { value, expireAtMs }] of written) {
      const versions = this.#versions.get(name) ?? [];
      versions.push({ offset, value, expireAtMs });
      this.#versions.set(name, versions);
    }
  }

  at(name: string, offset: number): Held {
    return this.#versions.get(name)?.findLast((version) => version.offset <= offset) ?? NOTHING;
  }

  /** Keys that units behind `from`, up to and with `to`, wrote. */
  writtenBetween(from: number, to: number): Set<string> {
    const names = new Set<string>();
    for (let index = this.#units.length - 1; index >= 0; index--) {
      const unit = this.#units[index] as Unit;
      if (unit.offset <= from) break;
      if (unit.offset <= to) for (const name of unit.names) names.add(name);
    }
    return names;
  }

  /** Every key that ever was. */
  get names(): Iterable<string> {
    return this.#versions.keys();
  }
}
