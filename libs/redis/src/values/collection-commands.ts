import { CommandChunk, type ChunkLimits, type ElementCommand } from "./command-chunk.ts";
import type { DestinationLimits } from "./destination-limits.ts";
import { scoreText } from "./score.ts";
import type { HashField, ValueElement } from "./value-element.ts";

/** Makes the commands of one value from its elements, in their order. */
export interface CommandMaker {
  /** The commands that this element completes. */
  add(element: ValueElement): Iterable<ElementCommand>;
  /** The rest, after the last element. */
  end(): Iterable<ElementCommand>;
}

export interface MakerOptions extends ChunkLimits {
  readonly key: Buffer;
  readonly limits: DestinationLimits;
  readonly shift: (expireAtMs: number) => number;
  readonly lacks: (what: string) => void;
}

/** SET with the first part, then APPEND. */
export class StringCommands implements CommandMaker {
  readonly #key: Buffer;
  readonly #maxBytes: number;
  #isFirst = true;

  constructor({ key, maxBytes }: MakerOptions) {
    this.#key = key;
    this.#maxBytes = maxBytes;
  }

  *add(element: ValueElement): Iterable<ElementCommand> {
    if (element.kind !== "part") return;
    const { bytes } = element;
    for (let from = 0; from < bytes.length || this.#isFirst; from += this.#maxBytes) {
      yield [this.#isFirst ? "SET" : "APPEND", this.#key, bytes.subarray(from, from + this.#maxBytes)];
      this.#isFirst = false;
    }
  }

  end(): Iterable<ElementCommand> {
    return [];
  }
}

/** RPUSH or SADD. */
export class ItemCommands implements CommandMaker {
  readonly #chunk: CommandChunk;

  constructor(name: "RPUSH" | "SADD", { key, ...limits }: MakerOptions) {
    this.#chunk = new CommandChunk([name, key], limits);
  }

  *add(element: ValueElement): Iterable<ElementCommand> {
    if (element.kind !== "item") return;
    if (this.#chunk.isFullFor(element.item.length)) yield* this.end();
    this.#chunk.add(element.item.length, element.item);
  }

  end(): Iterable<ElementCommand> {
    return ofOne(this.#chunk.take());
  }
}

/** ZADD. */
export class ScoreCommands implements CommandMaker {
  readonly #chunk: CommandChunk;

  constructor({ key, ...limits }: MakerOptions) {
    this.#chunk = new CommandChunk(["ZADD", key], limits);
  }

  *add(element: ValueElement): Iterable<ElementCommand> {
    if (element.kind !== "scored") return;
    const score = scoreText(element.score);
    const bytes = element.member.length + score.length;
    if (this.#chunk.isFullFor(bytes)) yield* this.end();
    this.#chunk.add(bytes, score, element.member);
  }

  end(): Iterable<ElementCommand> {
    return ofOne(this.#chunk.take());
  }
}

/** HSET or HMSET, and behind each of them an HPEXPIREAT for each time at which fields of it expire. */
export class FieldCommands implements CommandMaker {
  readonly #options: MakerOptions;
  readonly #chunk: CommandChunk;
  #fieldsAt = new Map<number, Buffer[]>();

  constructor(options: MakerOptions) {
    this.#options = options;
    this.#chunk = new CommandChunk([options.limits.setsManyFields ? "HSET" : "HMSET", options.key], options);
  }

  *add(element: ValueElement): Iterable<ElementCommand> {
    if (element.kind !== "field") return;
    const bytes = element.field.length + element.value.length;
    if (this.#chunk.isFullFor(bytes)) yield* this.end();
    this.#chunk.add(bytes, element.field, element.value);
    if (element.expireAtMs >= 0) this.#note(element);
  }

  *end(): Iterable<ElementCommand> {
    yield* ofOne(this.#chunk.take());
    for (const [atMs, fields] of this.#fieldsAt) {
      yield ["HPEXPIREAT", this.#options.key, atMs, "FIELDS", fields.length, ...fields];
    }
    this.#fieldsAt = new Map();
  }

  #note({ field, expireAtMs }: HashField): void {
    const { limits, lacks, shift } = this.#options;
    if (!limits.hasFieldExpiries) {
      lacks("expiries of hash fields");
      return;
    }
    const atMs = Math.max(1, shift(expireAtMs));
    const fields = this.#fieldsAt.get(atMs);
    if (fields === undefined) this.#fieldsAt.set(atMs, [field]);
    else fields.push(field);
  }
}

function ofOne(command: ElementCommand | undefined): ElementCommand[] {
  return command === undefined ? [] : [command];
}
