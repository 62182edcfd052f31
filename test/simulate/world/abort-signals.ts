const EVENT = new Event("abort");

type Listener = (event: Event) => void;

/**
 * What Sluice uses of an `AbortSignal`, with its promises: listeners are called once each, in the order in which they came, and
 * signals that depend on others come behind those. Those of Node 20 cost a weak reference and an event each, and never let go of
 * what depends on others; with them a worker would keep every world that it ran.
 */
class SimAbortSignal {
  #isAborted = false;
  #reason: unknown = undefined;
  #listeners: { readonly listener: Listener; readonly isOnce: boolean; isGone: boolean }[] = [];
  /** Signals that this one depends on; null where it depends on none but its controller. */
  #sources: Set<SimAbortSignal> | null = null;
  #dependants: Set<SimAbortSignal> | null = null;

  static any(signals: readonly SimAbortSignal[]): SimAbortSignal {
    const result = new SimAbortSignal();
    const sources = new Set<SimAbortSignal>();
    result.#sources = sources;
    for (const signal of signals) {
      if (signal.aborted) {
        result.abort(signal.#reason);
        return result;
      }
      for (const source of signal.#sources ?? [signal]) {
        sources.add(source);
        source.#dependants ??= new Set();
        source.#dependants.add(result);
      }
    }
    return result;
  }

  get aborted(): boolean {
    return this.#isAborted;
  }

  get reason(): unknown {
    // Nobody looks at most of them, and they know where they were made.
    if (this.#isAborted) this.#reason ??= new DOMException("This operation was aborted", "AbortError");
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#isAborted) throw this.reason;
  }

  addEventListener(_type: "abort", listener: Listener, { once = false } = {}): void {
    if (this.#listeners.some((known) => known.listener === listener)) return;
    this.#listeners.push({ listener, isOnce: once, isGone: false });
  }

  removeEventListener(_type: "abort", listener: Listener): void {
    const at = this.#listeners.findIndex((known) => known.listener === listener);
    if (at < 0) return;
    const [gone] = this.#listeners.splice(at, 1);
    if (gone !== undefined) gone.isGone = true;
  }

  /** For `setMaxListeners` of `node:events`: there is no limit. */
  setMaxListeners(): void {
    // Nobody is warned.
  }

  abort(reason: unknown): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    for (const known of Array.from(this.#listeners)) {
      if (known.isGone) continue;
      if (known.isOnce) this.removeEventListener("abort", known.listener);
      call(known.listener);
    }
    for (const dependant of this.#dependants ?? []) dependant.abort(this.#reason);
  }
}

/** As from an `EventTarget`: what a listener throws ends the process, and is nothing to the others. */
function call(listener: Listener): void {
  try {
    listener(EVENT);
  } catch (cause) {
    process.nextTick(() => {
      throw cause;
    });
  }
}

class SimAbortController {
  readonly signal = new SimAbortSignal();

  abort(reason?: unknown): void {
    this.signal.abort(reason);
  }
}

/** Puts lighter signals in the place of this process's own, for ever. Call it before anything of Sluice is loaded. */
export function replaceSignals(): void {
  Object.assign(globalThis, { AbortController: SimAbortController, AbortSignal: SimAbortSignal });
}
