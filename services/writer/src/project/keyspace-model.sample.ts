import type { SampleCommand } from "./unit-slice.sample.ts";

/** What a server with databases holds, strings only: enough of Redis to tell whether two streams of commands end in the same. */
export class KeyspaceModel {
  readonly databases: Map<number, Map<string, string>>;

  constructor(from?: KeyspaceModel) {
    this.databases = new Map([...(from?.databases ?? [])].map(([db, keys]) => [db, new Map(keys)]));
  }

  /** False where the command changes nothing: a source does not replicate it then. */
  run({ db, line }: SampleCommand): boolean {
    const [name = "", ...args] = line.split(" ");
    const [one = "", two = ""] = args;
    const keys = this.#in(db);
    if (name === "SET") return keys.set(one, two).size > 0;
    if (name === "DEL" || name === "UNLINK") return args.filter((key) => keys.delete(key)).length > 0;
    if (name === "MSET") {
      for (let at = 0; at < args.length; at += 2) keys.set(args[at] as string, args[at + 1] as string);
      return true;
    }
    if (name === "RENAME") return one !== two && this.#take(keys, one, keys, two, true, false);
    if (name === "MOVE") return Number(two) !== db && this.#take(keys, one, this.#in(Number(two)), one, false, false);
    if (name === "COPY") return this.#copy(db, args);
    if (name === "FLUSHDB") this.databases.delete(db);
    else if (name === "FLUSHALL") this.databases.clear();
    else if (name === "SWAPDB") this.#swap(Number(one), Number(two));
    else throw new Error(`the model does not know ${name}`);
    return true;
  }

  /** All keys, as `db key value` in order. */
  list(place: (db: number, key: string) => number | null = (db) => db): string[] {
    const found: string[] = [];
    for (const [db, keys] of this.databases) {
      for (const [key, value] of keys) {
        const target = place(db, key);
        if (target !== null) found.push(`${target} ${key} ${value}`);
      }
    }
    return found.toSorted();
  }

  #in(db: number): Map<string, string> {
    const keys = this.databases.get(db) ?? new Map<string, string>();
    this.databases.set(db, keys);
    return keys;
  }

  #copy(db: number, args: readonly string[]): boolean {
    const [from = "", to = ""] = args;
    const at = args.indexOf("DB");
    const target = at < 0 ? db : Number(args[at + 1]);
    if (target === db && from === to) return false;
    return this.#take(this.#in(db), from, this.#in(target), to, args.includes("REPLACE"), true);
  }

  #take(
    from: Map<string, string>,
    key: string,
    to: Map<string, string>,
    name: string,
    replaces: boolean,
    stays: boolean,
  ): boolean {
    const value = from.get(key);
    if (value === undefined || (to.has(name) && !replaces)) return false;
    if (!stays) from.delete(key);
    to.set(name, value);
    return true;
  }

  #swap(one: number, two: number): void {
    const [first, second] = [this.#in(one), this.#in(two)];
    this.databases.set(one, second).set(two, first);
  }
}
