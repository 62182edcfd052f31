import { setMaxListeners } from "node:events";
import type { Clock } from "@sluice/runtime";
import { EPOCH_MS, type Cancel, type Scheduler } from "./scheduler.ts";

/** The clock of every process of a world. */
export function clockOf(scheduler: Scheduler): Clock {
  return {
    nowMs: () => EPOCH_MS + Math.floor(scheduler.nowMs),
    monotonicMs: () => scheduler.nowMs,
    sleep: async (ms, signal) => {
      if (signal?.aborted === true) return;
      if (signal !== undefined) setMaxListeners(0, signal);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          cancel();
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        const cancel = scheduler.after(ms, scheduler.current, wake);
        signal?.addEventListener("abort", wake, { once: true });
      });
    },
  };
}

/** What `setTimeout` and `setInterval` answer with; the parts of Node's that Sluice uses. */
class Timer {
  readonly #start: () => Cancel;
  #cancel: Cancel;

  constructor(start: () => Cancel) {
    this.#start = start;
    this.#cancel = start();
  }

  refresh(): this {
    this.#cancel();
    this.#cancel = this.#start();
    return this;
  }

  close(): void {
    this.#cancel();
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

let scheduler: Scheduler | null = null;

function world(): Scheduler {
  if (scheduler === null) throw new Error("there is no world: nothing has a time");
  return scheduler;
}

/** From here on the timers of this process are those of `next`. */
export function live(next: Scheduler): void {
  scheduler = next;
}

/** Puts virtual timers and clocks in the place of this process's own, for ever. Call it before anything of Sluice is loaded. */
export function replaceTimers(): void {
  const timer = (start: (owner: Scheduler["current"]) => Cancel): Timer => {
    const owner = world().current;
    return new Timer(() => start(owner));
  };
  const replaced = {
    setTimeout: (run: (...args: unknown[]) => void, ms = 1, ...args: unknown[]) =>
      timer((owner) => world().after(ms, owner, () => run(...args))),
    setInterval: (run: (...args: unknown[]) => void, ms = 1, ...args: unknown[]) => {
      let cancel: Cancel = () => undefined;
      return timer((owner) => {
        const tick = (): void => {
          cancel = world().after(ms, owner, tick);
          run(...args);
        };
        cancel = world().after(ms, owner, tick);
        return () => cancel();
      });
    },
    setImmediate: (run: (...args: unknown[]) => void, ...args: unknown[]) =>
      timer((owner) => world().after(0, owner, () => run(...args))),
    clearTimeout: (one: Timer | undefined) => one?.close(),
    clearInterval: (one: Timer | undefined) => one?.close(),
    clearImmediate: (one: Timer | undefined) => one?.close(),
  };
  Object.assign(globalThis, replaced);
  Date.now = () => EPOCH_MS + Math.floor(scheduler?.nowMs ?? 0);
  performance.now = () => scheduler?.nowMs ?? 0;
}
