import { slotOfKey } from "./key-slot.ts";
import type { WatchedKey } from "./sim-client.ts";
import { copyOf, type SimValue } from "./sim-value.ts";

export const DATABASES = 16;
export const NO_EXPIRY = -1;

export interface SimEntry {
  value: SimValue;
  /** Milliseconds since 1970, or `NO_EXPIRY`. */
  expireAtMs: number;
}

/** One database: keys, which of them expire, and who watches which. */
export class SimDatabase {
  readonly id: number;
  entries = new Map<string, SimEntry>();
  /** Keys with an expiry. */
  volatile = new Set<string>();
  readonly watchers = new Map<string, Set<WatchedKey>>();
  /** Keys by their slot; null outside a cluster. */
  #slots: Map<number, Set<string>> | null = null;

  constructor(id: number) {
    this.id = id;
  }

  /** Puts a value in the place of whatever is there, its expiry included. */
  put(key: string, value: SimValue, expireAtMs: number): void {
    if (this.#slots !== null) this.#index(this.#slots, key);
    this.entries.set(key, { value, expireAtMs });
    if (expireAtMs === NO_EXPIRY) this.volatile.delete(key);
    else this.volatile.add(key);
  }

  expire(key: string, entry: SimEntry, expireAtMs: number): void {
    entry.expireAtMs = expireAtMs;
    if (expireAtMs === NO_EXPIRY) this.volatile.delete(key);
    else this.volatile.add(key);
  }

  remove(key: string): boolean {
    this.volatile.delete(key);
    this.#slots?.get(slotOfKey(key))?.delete(key);
    return this.entries.delete(key);
  }

  clear(): number {
    const count = this.entries.size;
    this.entries = new Map();
    this.volatile = new Set();
    this.#slots?.clear();
    return count;
  }

  /** Exchanges the contents, not the watchers. */
  swap(other: SimDatabase): void {
    [this.entries, other.entries] = [other.entries, this.entries];
    [this.volatile, other.volatile] = [other.volatile, this.volatile];
  }

  copyFrom(other: SimDatabase): void {
    this.entries = new Map();
    this.volatile = new Set(other.volatile);
    for (const [key, { value, expireAtMs }] of other.entries) this.entries.set(key, { value: copyOf(value), expireAtMs });
    if (this.#slots !== null) this.indexSlots();
  }

  /** From here on keys are found by their slot, too. */
  indexSlots(): void {
    this.#slots = new Map();
    for (const key of this.entries.keys()) this.#index(this.#slots, key);
  }

  /** The keys of a slot, expired ones included. Call `indexSlots` before. */
  keysInSlot(slot: number): string[] {
    return [...(this.#slots?.get(slot) ?? [])];
  }

  #index(slots: Map<number, Set<string>>, key: string): void {
    const slot = slotOfKey(key);
    const keys = slots.get(slot);
    if (keys === undefined) slots.set(slot, new Set([key]));
    else keys.add(key);
  }
}

/** All databases of a server. */
export class Keyspace {
  readonly databases: readonly SimDatabase[] = Array.from({ length: DATABASES }, (_, id) => new SimDatabase(id));

  at(db: number): SimDatabase {
    const database = this.databases[db];
    if (database === undefined) throw new RangeError(`no database ${db}: there are 0 to ${DATABASES - 1}`);
    return database;
  }

  /** Takes over the contents of `other`; who watches what stays as it is. */
  copyFrom(other: Keyspace): void {
    for (const [id, database] of this.databases.entries()) database.copyFrom(other.at(id));
  }

  clear(): number {
    let count = 0;
    for (const database of this.databases) count += database.clear();
    return count;
  }
}
