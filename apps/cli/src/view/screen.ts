/** What a screen needs of standard output. */
export interface ScreenOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const ERASE_LINE = "\r\u001b[2K";
/** Without a terminal the state is written so often, and whenever its heading changes. */
const PLAIN_INTERVAL_MS = 5_000;

/**
 * Lines that stay, above one line that is rewritten in place.
 * Without a terminal there are no control characters: the line is printed anew every 5 s, and at once when `heading` changes.
 */
export class Screen {
  readonly #output: ScreenOutput;
  readonly #nowMs: () => number;
  #line = "";
  #heading = "";
  #printedAtMs = Number.NEGATIVE_INFINITY;

  constructor(output: ScreenOutput, nowMs: () => number = () => performance.now()) {
    this.#output = output;
    this.#nowMs = nowMs;
  }

  /** Writes a line that stays. */
  print(text: string): void {
    if (this.#isTerminal) this.#output.write(`${this.#line === "" ? "" : ERASE_LINE}${text}\n${this.#line}`);
    else this.#output.write(`${text}\n`);
  }

  /** Replaces the line at the bottom. `heading` says what it is about, such as the state of a pipeline. */
  update(heading: string, line: string): void {
    if (this.#isTerminal) {
      const columns = this.#output.columns ?? 0;
      this.#line = line.slice(0, Math.max(20, (columns > 0 ? columns : 80) - 1)); // some terminals say 0
      this.#output.write(ERASE_LINE + this.#line);
      return;
    }
    if (heading === this.#heading && this.#nowMs() - this.#printedAtMs < PLAIN_INTERVAL_MS) return;
    this.#heading = heading;
    this.#printedAtMs = this.#nowMs();
    this.#output.write(`${line}\n`);
  }

  /** Takes the line at the bottom away. */
  clear(): void {
    if (this.#isTerminal && this.#line !== "") this.#output.write(ERASE_LINE);
    this.#line = "";
    this.#heading = "";
  }

  get #isTerminal(): boolean {
    return this.#output.isTTY === true;
  }
}
