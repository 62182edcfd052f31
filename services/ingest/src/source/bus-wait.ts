import { describeFault, reasonOf, Retryable, type Clock, type Logger } from "@sluice/runtime";
import type { RetryRecord } from "@sluice/wire";

/** What the bus says while it does not take a link's batches, and since when. */
export class BusWait {
  readonly #clock: Clock;
  readonly #log: Logger;
  #waiting: { readonly fault: Retryable; readonly since: number } | null = null;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Null: it takes batches. */
  get retry(): RetryRecord | null {
    if (this.#waiting === null) return null;
    const { fault, since } = this.#waiting;
    return { endpoint: fault.endpoint, since, reason: reasonOf(fault) };
  }

  /** `fault`: null where it takes batches again. */
  note(fault: Retryable | null): void {
    if (fault !== null) this.#log.warn({ code: fault.code }, describeFault(fault));
    this.#waiting = fault === null ? null : { fault, since: this.#waiting?.since ?? this.#clock.nowMs() };
  }

  /** The fault of a link that is given up since the bus stored nothing for `patienceMs`. */
  impatience(patienceMs: number): Retryable {
    const why = this.#waiting?.fault ?? null;
    const message = `the bus stored nothing for ${patienceMs} ms; the link to the source is given up until it does`;
    return new Retryable(why?.code ?? "BUS-001", "bus", message, why === null ? {} : { cause: why });
  }
}
