import type { Network } from "./network.ts";
import type { SimProcess } from "./sim-process.ts";

/** One direction of a connection: what is put in comes out later, in order, and not while the address can't be reached. */
export class Pipe {
  readonly #network: Network;
  readonly #address: string;
  readonly #owner: SimProcess | null;
  readonly #queue: { readonly atMs: number; readonly arrive: () => void }[] = [];
  #lastMs = 0;

  /** `owner`: whose events the arrivals are. */
  constructor(network: Network, address: string, owner: SimProcess | null) {
    this.#network = network;
    this.#address = address;
    this.#owner = owner;
  }

  put(arrive: () => void): void {
    const { scheduler } = this.#network;
    this.#lastMs = Math.max(this.#lastMs, scheduler.nowMs + this.#network.latencyMs());
    this.#queue.push({ atMs: this.#lastMs, arrive });
    if (this.#queue.length === 1) this.#await(this.#lastMs);
  }

  /** What has not come out yet never will. */
  drop(): void {
    this.#queue.length = 0;
  }

  #await(atMs: number): void {
    this.#network.scheduler.at(atMs, this.#owner, () => {
      // TCP sends again what nobody confirmed.
      if (this.#network.isParted(this.#address)) return this.#await(this.#network.scheduler.nowMs + RESEND_MS);
      const first = this.#queue[0];
      if (first === undefined) return;
      first.arrive();
      this.#queue.shift();
      const next = this.#queue[0];
      if (next !== undefined) this.#await(next.atMs);
    });
  }
}

const RESEND_MS = 200;
