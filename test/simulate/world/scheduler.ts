import type { SimProcess } from "./sim-process.ts";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly owner: SimProcess | null;
  readonly run: () => void;
  isCancelled: boolean;
}

/** Takes back what was scheduled; does nothing once it has happened. */
export type Cancel = () => void;

/** Wall clock at the beginning of a simulated world. */
export const EPOCH_MS = 1_800_000_000_000;
const realTurn = setImmediate;

/**
 * The one clock and the one queue of a simulated world: everything that happens is an event at a virtual time. One event at a
 * time, and all that follows from it by promises alone, before the next; what happens at the same time happens in the order in
 * which it was asked for. So a run follows from its seed, and hours pass in a moment.
 *
 * An event may belong to a process: of one that was killed it never happens, of one that is suspended it waits.
 */
export class Scheduler {
  readonly #heap: Event[] = [];
  #order = 0;
  #nowMs = 0;
  #current: SimProcess | null = null;
  #events = 0;

  /** Virtual ms since the beginning. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Whose event happens now. */
  get current(): SimProcess | null {
    return this.#current;
  }

  /** Events that have happened so far. */
  get events(): number {
    return this.#events;
  }

  after(delayMs: number, owner: SimProcess | null, run: () => void): Cancel {
    return this.at(this.#nowMs + Math.max(0, delayMs), owner, run);
  }

  at(atMs: number, owner: SimProcess | null, run: () => void): Cancel {
    const event: Event = { atMs: Math.max(atMs, this.#nowMs), order: this.#order++, owner, run, isCancelled: false };
    this.#push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  /** Runs `act` as `owner` would, now: what it schedules through the globals is the owner's. For use outside of events. */
  async as(owner: SimProcess | null, act: () => void): Promise<void> {
    this.#current = owner;
    act();
    await this.#settle();
    this.#current = null;
  }

  /** Lets events happen until `untilMs`, or until `isOver`, which is asked after each of them. */
  async run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.#nowMs = next.atMs;
      if (next.isCancelled || next.owner?.isAlive === false) continue;
      if (next.owner?.isSuspended === true) {
        next.owner.postpone(next.run);
        continue;
      }
      this.#events++;
      this.#current = next.owner;
      next.run();
      // Servers, the bus and the network promise nothing: what they do is done.
      if (next.owner !== null) await this.#settle();
      this.#current = null;
      if (isOver()) return;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Resolves when nothing is left that follows from promises alone. */
  async #settle(): Promise<void> {
    await new Promise<void>((resolve) => realTurn(resolve));
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
