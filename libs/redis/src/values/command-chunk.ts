import type { CommandArgument } from "../resp/encode-command.ts";

/** One command: name and arguments. */
export type ElementCommand = readonly CommandArgument[];

export interface ChunkLimits {
  /** Of the arguments of one command; a single element may be longer, and then is alone. */
  readonly maxBytes: number;
  /** Elements in one command. */
  readonly maxElements: number;
}

/** Gathers elements into commands `name key element…` of bounded size. */
export class CommandChunk {
  readonly #head: readonly CommandArgument[];
  readonly #limits: ChunkLimits;
  #args: CommandArgument[] = [];
  #bytes = 0;
  #elements = 0;

  constructor(head: readonly CommandArgument[], limits: ChunkLimits) {
    this.#head = head;
    this.#limits = limits;
  }

  /** True where the element has no room beside those that are there, if any: `take` them first. */
  isFullFor(bytes: number): boolean {
    const { maxBytes, maxElements } = this.#limits;
    return this.#elements >= maxElements || this.#bytes + bytes > maxBytes;
  }

  /** Adds one element, of one argument or more. */
  add(bytes: number, ...element: readonly CommandArgument[]): void {
    for (const argument of element) this.#args.push(argument);
    this.#bytes += bytes;
    this.#elements++;
  }

  /** The command of what has been gathered, which begins anew; undefined if that is nothing. */
  take(): ElementCommand | undefined {
    if (this.#elements === 0) return undefined;
    const command = [...this.#head, ...this.#args];
    this.#args = [];
    this.#bytes = 0;
    this.#elements = 0;
    return command;
  }
}
