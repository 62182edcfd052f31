import type { CommandArgument, ElementCommand } from "@sluice/redis";

/** Arguments before the elements, and arguments of one element, of the commands that add some. */
const ADDS: ReadonlyMap<CommandArgument, readonly [before: number, each: number]> = new Map([
  ["RPUSH", [2, 1]],
  ["SADD", [2, 1]],
  ["ZADD", [2, 2]],
  ["HSET", [2, 2]],
  ["HMSET", [2, 2]],
]);

/** What asks for the length of a key that a command has written to. */
const QUESTIONS: ReadonlyMap<CommandArgument, string> = new Map([
  ["SET", "STRLEN"],
  ["APPEND", "STRLEN"],
  ["RPUSH", "LLEN"],
  ["SADD", "SCARD"],
  ["ZADD", "ZCARD"],
  ["HSET", "HLEN"],
  ["HMSET", "HLEN"],
  ["XADD", "XLEN"],
  ["XGROUP", "XLEN"],
  ["XSETID", "XLEN"],
]);

/** How long the commands that build a value have made it: bytes of a string, elements of everything else. */
export class BuiltLength {
  #most = 0;
  /** Of a hash: fields with an expiry, which may have gone already. */
  #passing = 0;
  #question: string | undefined;

  /** No command has come. */
  get isNothing(): boolean {
    return this.#question === undefined;
  }

  /** Even a value that stands there whole may have no element left, and then no key. */
  get mayBeGone(): boolean {
    return this.#passing > 0 && this.#passing >= this.#most;
  }

  add(command: ElementCommand): void {
    const [name] = command;
    this.#question ??= QUESTIONS.get(name as CommandArgument);
    const adds = ADDS.get(name as CommandArgument);
    if (adds !== undefined) this.#most += (command.length - adds[0]) / adds[1];
    else if (name === "SET" || name === "APPEND") this.#most += (command[2] as Buffer).length;
    else if (name === "XADD") this.#most++;
    // HPEXPIREAT key at FIELDS count field…
    else if (name === "HPEXPIREAT") this.#passing += command.length - 5;
  }

  /** What a command answered that deletes elements. */
  answered([name]: ElementCommand, count: number): void {
    if (name === "XDEL" || name === "XTRIM") this.#most -= count;
  }

  question(key: Buffer): readonly CommandArgument[] {
    return [this.#question as string, key];
  }

  agrees(length: number): boolean {
    return length <= this.#most && length >= this.#most - this.#passing;
  }
}
