/** What happened in a run, with times; printed as it happens and kept for the report. */
export class Journal {
  readonly lines: string[] = [];
  readonly #startMs = performance.now();
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  get seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  note(text: string): void {
    const line = `${this.seconds.toFixed(1).padStart(7)} s  ${text}`;
    this.lines.push(line);
    this.#print(line);
  }
}
