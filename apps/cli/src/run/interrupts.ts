/**
 * What asks a run to end: Ctrl-C, SIGTERM, the end of the terminal. The first aborts `signal`; the second, or the death of the
 * process that started this one, calls `quit`.
 */
export class Interrupts {
  readonly #asked = new AbortController();

  constructor(quit: () => void) {
    const ask = (): void => {
      if (this.#asked.signal.aborted) quit();
      else this.#asked.abort();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, ask);
    if (process.connected) process.on("disconnect", quit);
  }

  get signal(): AbortSignal {
    return this.#asked.signal;
  }
}
