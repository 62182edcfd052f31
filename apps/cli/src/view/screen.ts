/** What a screen needs of standard output. */
export interface ScreenOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const ERASE_LINE = "\r\u001b[2K";
const ERASE_LINE_ABOVE = "\u001b[1A\u001b[2K";
/** Without a terminal the state is written so often, and whenever its heading changes. */
const PLAIN_INTERVAL_MS = 5_000;

/**
 * Lines that stay, above some lines that are rewritten in place.
 * Without a terminal there are no control characters: the lines are printed anew every 5 s, and at once when `heading` changes.
 */
export class Screen {
  readonly #output: ScreenOutput;
  readonly #nowMs: () => number;
  #lines: readonly string[] = [];
  #heading = "";
  #printedAtMs = Number.NEGATIVE_INFINITY;

  constructor(output: ScreenOutput, nowMs: () => number = () => performance.now()) {
    this.#output = output;
    this.#nowMs = nowMs;
  }

  /** Writes a line that stays. */
  print(text: string): void {
    this.#output.write(`${this.isTerminal ? this.#eraser : ""}${text}\n${this.#lines.join("\n")}`);
  }

  /** Replaces the lines at the bottom. `heading` says what they are about, such as the state of a pipeline. */
  update(heading: string, ...lines: readonly string[]): void {
    if (this.isTerminal) {
      const eraser = this.#eraser || ERASE_LINE;
      const { columns = 0, rows = 0 } = this.#output; // some terminals say 0
      const width = (columns > 0 ? columns : 80) - 1;
      this.#lines = lines.slice(0, Math.max(1, (rows > 0 ? rows : 24) - 1)).map((line) => line.slice(0, Math.max(20, width)));
      this.#output.write(eraser + this.#lines.join("\n"));
      return;
    }
    if (heading === this.#heading && this.#nowMs() - this.#printedAtMs < PLAIN_INTERVAL_MS) return;
    this.#heading = heading;
    this.#printedAtMs = this.#nowMs();
    this.#output.write(`${lines.join("\n")}\n`);
  }

  /** Takes the lines at the bottom away. */
  clear(): void {
    if (this.#lines.length > 0) this.#output.write(this.#eraser);
    this.#lines = [];
    this.#heading = "";
  }

  /** Takes the lines at the bottom away, from the end of the last one to the beginning of the first one. */
  get #eraser(): string {
    return this.#lines.length === 0 ? "" : ERASE_LINE + ERASE_LINE_ABOVE.repeat(this.#lines.length - 1);
  }

  /** Whether a person looks at it, and not a file. */
  get isTerminal(): boolean {
    return this.#output.isTTY === true;
  }
}
