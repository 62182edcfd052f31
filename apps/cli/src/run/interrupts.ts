const ASKING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * What asks a run to end: Ctrl-C, SIGTERM, the end of the terminal. The first aborts `signal`; the second, or the death of the
 * process that started this one, calls `quit`.
 */
export class Interrupts {
  readonly #asked = new AbortController();
  readonly #ask: () => void;
  readonly #quit: () => void;

  constructor(quit: () => void) {
    this.#quit = quit;
    this.#ask = () => {
      if (this.#asked.signal.aborted) quit();
      else this.#asked.abort();
    };
    for (const signal of ASKING) process.on(signal, this.#ask);
    if (process.connected) process.on("disconnect", quit);
  }

  get signal(): AbortSignal {
    return this.#asked.signal;
  }

  /** From now on they end this process, as they would any other. */
  close(): void {
    for (const signal of ASKING) process.off(signal, this.#ask);
    process.off("disconnect", this.#quit);
  }
}
