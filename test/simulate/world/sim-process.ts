import type { Scheduler } from "./scheduler.ts";

/** One incarnation of a process of Sluice inside a simulated world. It dies without a word, as from kill -9. */
export class SimProcess {
  readonly name: string;
  readonly #scheduler: Scheduler;
  readonly #ends: (() => void)[] = [];
  #isAlive = true;
  #isSuspended = false;
  #postponed: (() => void)[] = [];

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.#scheduler = scheduler;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isSuspended(): boolean {
    return this.#isSuspended;
  }

  /** Calls `end` when the process dies: what its kernel would do for it. */
  onEnd(end: () => void): void {
    this.#ends.push(end);
  }

  kill(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#postponed = [];
    for (const end of this.#ends) end();
  }

  /** As SIGSTOP: time and the network go on, the process does not. */
  suspend(): void {
    this.#isSuspended = true;
  }

  /** As SIGCONT: what came meanwhile comes now, in order. */
  resume(): void {
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    for (const run of this.#postponed.splice(0)) this.#scheduler.after(0, this, run);
  }

  /** Something happened to it while it was suspended. */
  postpone(run: () => void): void {
    this.#postponed.push(run);
  }
}
