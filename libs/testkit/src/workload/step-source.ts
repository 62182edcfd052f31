import type { Command } from "./command.ts";
import type { CounterEffect } from "./counter-book.ts";
import { SLOTS } from "../servers/key-slot.ts";
import { keyName, keyKinds, type KeyKind } from "./key-name.ts";
import type { Random } from "./random.ts";
import { BUSY_ROWS, BUSY_SLOTS, busySlot, firstWideIndex, placedKey, placedSlot, slotTag } from "./slot-places.ts";

/** Commands that are sent one after the other on one connection, and what they do to the counters if all succeed. */
export interface Step {
  readonly commands: Command[];
  readonly effects: CounterEffect[];
  /** The slot of all its keys; undefined if they may lie in several. */
  readonly slot?: number | undefined;
}

export interface StepSourceOptions {
  readonly random: Random;
  /** Part of the names of keys that only this workload writes. */
  readonly actor: string;
  /** Keys of each kind in play. */
  readonly keysPerKind: number;
  /** All keys of a step lie in one slot. */
  readonly singleSlot: boolean;
}

/** How many keys of each form of counter an actor has per database. */
const COUNTERS = 32;
/** Deliveries and deletions go to the newest entries of a task stream. */
const RECENT_ENTRIES = 60;

/** Steps in this share go to any slot, where they can, the others to the busy ones. */
const WIDE_SHARE = 0.2;
/** Keys of each kind and slot that they choose from. */
const WIDE_ROWS = 2;

/** Chooses the keys and values of one database; with `singleSlot` all keys of a step share a hash tag. */
export class StepSource {
  readonly random: Random;
  readonly #options: StepSourceOptions;
  readonly #nextNumbers = new Map<string, number>();
  /** The busy slot of the step, or undefined for a wide step, which has the key numbers `#wideIndex` + n × 16 384. */
  #busy: number | undefined = 0;
  #wideIndex = 0;

  constructor(options: StepSourceOptions) {
    this.#options = options;
    this.random = options.random;
  }

  /**
   * To be called before the keys of a step (or of a whole transaction) are chosen.
   *
   * @param mayBeWide true if it does without `ownKey`
   */
  begin(mayBeWide: boolean): void {
    const isWide = this.#options.singleSlot && mayBeWide && this.random.chance(WIDE_SHARE);
    this.#busy = isWide ? undefined : this.random.between(0, this.#busySlots - 1);
    if (isWide) this.#wideIndex = firstWideIndex + this.random.between(0, SLOTS - 1);
  }

  /** The slot of the step that has begun; undefined without `singleSlot`. */
  get slot(): number | undefined {
    if (!this.#options.singleSlot) return undefined;
    return this.#busy === undefined ? placedSlot(this.#wideIndex) : busySlot(this.#busy);
  }

  key(kind: KeyKind): string | Buffer {
    const { keysPerKind, singleSlot } = this.#options;
    if (!singleSlot) return keyName(kind, this.random.between(0, keysPerKind - 1));
    if (this.#busy === undefined) {
      return placedKey(kind, this.#wideIndex + this.random.between(0, WIDE_ROWS - 1) * SLOTS);
    }
    const rows = Math.min(BUSY_ROWS, Math.max(1, Math.floor(keysPerKind / BUSY_SLOTS)));
    return placedKey(kind, this.random.between(0, rows - 1) * BUSY_SLOTS + this.#busy);
  }

  kind(): KeyKind {
    return this.random.pick(keyKinds);
  }

  /** The name of a key that only this actor writes and that is never deleted or expired while the workload runs. */
  ownKey(use: string): string {
    const { actor, singleSlot } = this.#options;
    if (singleSlot) return this.#busyKey(use, this.#busy);
    return `${use}:${actor}:${this.random.between(0, COUNTERS - 1)}`;
  }

  /** Every name that `ownKey` can give. */
  ownKeys(use: string): string[] {
    const { actor, singleSlot } = this.#options;
    if (!singleSlot) return Array.from({ length: COUNTERS }, (_, number) => `${use}:${actor}:${number}`);
    return Array.from({ length: this.#busySlots }, (_, place) => this.#busyKey(use, place));
  }

  #busyKey(use: string, place: number | undefined): string {
    if (place === undefined) throw new Error(`a step that began as one that may be wide asks for its own ${use}`);
    return `{t${slotTag(busySlot(place))}}${use}:${this.#options.actor}:${place % COUNTERS}`;
  }

  get #busySlots(): number {
    return Math.min(BUSY_SLOTS, this.#options.keysPerKind);
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
