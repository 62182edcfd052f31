import type { Direction } from "./byte-flow.ts";

/** What connections of a proxy go through at present. */
export class LinkWeather {
  /** Added to the way of every byte that comes from now on, in each direction. */
  delayMs = 0;
  /** Of each direction of each connection. */
  bytesPerSecond = Infinity;
  readonly #held = new Set<Direction>();
  #waiters: (() => void)[] = [];

  isOpen(direction: Direction): boolean {
    return !this.#held.has(direction);
  }

  hold(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#held.add(direction);
  }

  release(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#held.delete(direction);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  /** Resolves at the next `release`. */
  released(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }
}
