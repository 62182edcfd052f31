import type { Dice } from "../world/dice.ts";

/** One command, or the commands of one transaction, for one database. */
export interface Step {
  readonly db: number;
  /** Which server of a cluster is asked. */
  readonly key: string;
  readonly commands: readonly (readonly (string | number)[])[];
}

const TAGS = 6;
const VALUE_BYTES = 3_000;

/**
 * What the clients of a source do: mostly what can't be repeated without being noticed (counters, unique list elements), expiries
 * that are renewed and taken back, keys that change their type, and values and transactions larger than a batch.
 */
export class Workload {
  readonly #dice: Dice;
  readonly #databases: number;
  #unique = 0;

  /** `databases`: how many of them are used, from 0. */
  constructor(dice: Dice, databases: number) {
    this.#dice = dice;
    this.#databases = databases;
  }

  /** `nowMs`: the source's wall clock. */
  next(nowMs: number): Step {
    const dice = this.#dice;
    const db = dice.between(0, this.#databases - 1);
    const tag = `{t${dice.between(1, TAGS)}}`;
    const count = dice.oneIn(9) ? dice.between(2, dice.oneIn(6) ? 60 : 5) : 1;
    const commands = Array.from({ length: count }, () => this.#command(tag, nowMs));
    return { db, key: tag, commands };
  }

  #command(tag: string, nowMs: number): (string | number)[] {
    const dice = this.#dice;
    const one = (kind: string): string => `${kind}:${tag}:${dice.between(1, 3)}`;
    const soon = (): number => nowMs + dice.between(20, 3_000);
    const makers: (() => (string | number)[])[] = [
      () => ["INCR", one("count")],
      () => ["INCR", one("count")],
      () => ["RPUSH", one("list"), this.#element()],
      () => ["LPUSH", one("list"), this.#element(), this.#element()],
      () => ["LPOP", one("list")],
      () => ["SET", one("text"), this.#element()],
      () => ["SET", one("lease"), this.#element(), "PX", dice.between(20, 3_000)],
      () => ["INCR", one("limit")],
      () => ["PEXPIREAT", one("limit"), soon()],
      () => ["PEXPIRE", one("count"), dice.between(20, 5_000)],
      () => ["PERSIST", one(dice.pick(["count", "limit", "lease"]))],
      () => ["SADD", one("set"), this.#element(), `m${dice.between(1, 5)}`],
      () => ["SREM", one("set"), `m${dice.between(1, 5)}`],
      () => ["HSET", one("hash"), `f${dice.between(1, 4)}`, this.#element()],
      () => ["HINCRBY", one("hash"), "n", dice.between(1, 9)],
      () => ["DEL", one(dice.pick(["list", "text", "set", "hash", "odd"]))],
      () => ["RENAME", one("odd"), one("odd")],
      () => (dice.oneIn(2) ? ["SET", one("odd"), this.#element()] : ["RPUSH", one("odd"), this.#element()]),
      () => ["APPEND", one("text"), dice.oneIn(12) ? "x".repeat(VALUE_BYTES) : "y"],
      () => ["SET", one("text"), dice.oneIn(6) ? "z".repeat(VALUE_BYTES) : "short"],
    ];
    return dice.pick(makers)();
  }

  #element(): string {
    return `e${++this.#unique}`;
  }
}
