import type { Command } from "./command.ts";
import type { CounterEffect } from "./counter-book.ts";
import { keyName, KEY_TAGS, keyKinds, type KeyKind } from "./key-name.ts";
import type { Random } from "./random.ts";

/** Commands that are sent one after the other on one connection, and what they do to the counters if all succeed. */
export interface Step {
  readonly commands: Command[];
  readonly effects: CounterEffect[];
}

export interface StepSourceOptions {
  readonly random: Random;
  /** Part of the names of keys that only this workload writes. */
  readonly actor: string;
  /** Keys of each kind in play. */
  readonly keysPerKind: number;
  readonly singleSlot: boolean;
}

/** How many keys of each form of counter an actor has per database. */
const COUNTERS = 32;
/** Deliveries and deletions go to the newest entries of a task stream. */
const RECENT_ENTRIES = 60;

/** Chooses the keys and values of one database; with `singleSlot` all keys of a step share a hash tag. */
export class StepSource {
  readonly random: Random;
  readonly #options: StepSourceOptions;
  readonly #nextNumbers = new Map<string, number>();
  #tag = 0;

  constructor(options: StepSourceOptions) {
    this.#options = options;
    this.random = options.random;
  }

  /** To be called before the keys of a step (or of a whole transaction) are chosen. */
  begin(): void {
    this.#tag = this.random.between(0, Math.min(KEY_TAGS, this.#options.keysPerKind) - 1);
  }

  key(kind: KeyKind): string | Buffer {
    const { keysPerKind, singleSlot } = this.#options;
    if (!singleSlot) return keyName(kind, this.random.between(0, keysPerKind - 1));
    const rows = Math.max(1, Math.floor(keysPerKind / KEY_TAGS));
    return keyName(kind, this.random.between(0, rows - 1) * KEY_TAGS + this.#tag, this.#tag);
  }

  kind(): KeyKind {
    return this.random.pick(keyKinds);
  }

  /** The name of a key that only this actor writes and that is never deleted or expired while the workload runs. */
  ownKey(use: string): string {
    const { actor, singleSlot } = this.#options;
    if (singleSlot) return `{t${this.#tag}}${use}:${actor}:${this.#tag % COUNTERS}`;
    return `${use}:${actor}:${this.random.between(0, COUNTERS - 1)}`;
  }

  /** Every name that `ownKey` can give. */
  ownKeys(use: string): string[] {
    const { actor, singleSlot, keysPerKind } = this.#options;
    if (!singleSlot) return Array.from({ length: COUNTERS }, (_, number) => `${use}:${actor}:${number}`);
    const tags = Math.min(KEY_TAGS, keysPerKind);
    return Array.from({ length: tags }, (_, tag) => `{t${tag}}${use}:${actor}:${tag % COUNTERS}`);
  }

  /** 1, 2, 3, … for each key. */
  nextNumber(key: string): number {
    const number = (this.#nextNumbers.get(key) ?? 0) + 1;
    this.#nextNumbers.set(key, number);
    return number;
  }

  /** The number of one of the newest entries that `nextNumber` numbered, or of none. */
  recentNumber(key: string): number {
    const last = this.#nextNumbers.get(key) ?? 0;
    return this.random.between(Math.max(0, last - RECENT_ENTRIES), last);
  }

  get actor(): string {
    return this.#options.actor;
  }

  /** A short value, sometimes binary, sometimes long. */
  value(): string | Buffer {
    const draw = this.random.between(0, 19);
    if (draw === 0) return this.random.bytes(this.random.between(1, 40));
    if (draw === 1) return "long value ".repeat(this.random.between(10, 60));
    return this.random.word(this.random.between(1, 24));
  }

  /** From a small vocabulary, so that removals and insertions meet what was added. */
  member(): string {
    return `m${this.random.between(0, 59)}`;
  }

  /** A time to live: 2 to 10 s as often as 10 s to 10 minutes. */
  lifetimeMs(): number {
    return this.random.chance(0.5) ? this.random.between(2000, 10_000) : this.random.between(10_000, 600_000);
  }
}
