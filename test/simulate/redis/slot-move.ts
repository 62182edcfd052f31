import type { SimCluster } from "./sim-cluster.ts";
import { findCommand } from "./commands/command-set.ts";
import { NO_EXPIRY } from "./keyspace.ts";
import { SimClient } from "./sim-client.ts";
import type { SimCommand } from "./sim-command.ts";
import type { SimServer } from "./sim-server.ts";
import { dumpOf } from "./value-encoding.ts";

/**
 * A slot on its way from one node to another, as `redis-cli --cluster reshard` does it: both ends are told, keys go over one after
 * the other (RESTORE-ASKING there, DEL here, each in its own node's stream), then the new owner claims the slot. What both ends were
 * told is not replicated: when an end fails over, its heir is told anew, as `redis-cli --cluster fix` would do.
 */
export class SlotMove {
  readonly slot: number;
  readonly #cluster: SimCluster;
  #from: SimServer;
  #to: SimServer;
  #arrived: number | null = null;

  constructor(cluster: SimCluster, slot: number, from: SimServer, to: SimServer) {
    this.#cluster = cluster;
    this.slot = slot;
    this.#from = from;
    this.#to = to;
    this.#open();
  }

  /** The node that gives the slot away, or who took over from it. */
  get from(): SimServer {
    return this.#from;
  }

  get to(): SimServer {
    return this.#to;
  }

  /** Offset of the new owner's log with which it had everything; null while it has not taken the slot. */
  get arrived(): number | null {
    return this.#arrived;
  }

  /** Keys that have not gone over yet. */
  get left(): number {
    return this.#from.keysInSlot(this.slot).length;
  }

  /** Moves these keys, or up to so many, and returns how many are left. Nothing moves while one of the nodes is down. */
  migrate(keys: number | readonly string[]): number {
    this.#followEnds();
    if (this.isPossible) {
      const held = this.#from.keysInSlot(this.slot);
      const some = typeof keys === "number" ? held.slice(0, keys) : held.filter((key) => keys.includes(key));
      for (const key of some) takeOver(this.#from, this.#to, key);
      if (some.length > 0) giveAway(this.#from, some);
    }
    return this.left;
  }

  /** Moves what is left; the new owner takes the slot, and the others learn of it. Throws when one of the nodes is down. */
  finish(): void {
    const left = this.migrate(Infinity);
    if (left > 0 || !this.isPossible) {
      throw new Error(`slot ${this.slot} can't go over: it still has ${left} keys at ${this.#from.name}, or a node is down`);
    }
    this.#cluster.setSlot(this.#to, this.slot, "NODE", this.#to);
    this.#cluster.setSlot(this.#from, this.slot, "NODE", this.#to);
    this.#arrived = this.#to.log.offset;
  }

  /** Both ends forget of it (SETSLOT STABLE); keys that went over stay there, where nobody is sent any more. */
  abandon(): void {
    this.#cluster.setSlot(this.#from, this.slot, "STABLE");
    this.#cluster.setSlot(this.#to, this.slot, "STABLE");
  }

  /** Both ends are up. */
  get isPossible(): boolean {
    return this.#from.isUp && this.#to.isUp;
  }

  #open(): void {
    this.#cluster.setSlot(this.#to, this.slot, "IMPORTING", this.#from);
    this.#cluster.setSlot(this.#from, this.slot, "MIGRATING", this.#to);
  }

  #followEnds(): void {
    const [from, to] = [this.#from, this.#to].map((end) => this.#cluster.heirOf(end)) as [SimServer, SimServer];
    if (from === this.#from && to === this.#to) return;
    this.abandon();
    this.#from = from;
    this.#to = to;
    this.#open();
  }
}

/** cluster.c, `migrateCommand`: what the other end is told … */
function takeOver(from: SimServer, to: SimServer, key: string): void {
  const entry = from.entries().get(key);
  if (entry === undefined) return;
  const leftMs = entry.expireAtMs === NO_EXPIRY ? 0 : Math.max(1, entry.expireAtMs - to.nowMs);
  const client = new SimClient("test", 0);
  client.isAsking = true;
  to.run(client, ["RESTORE-ASKING", key, String(leftMs), dumpOf(entry.value), "REPLACE"], null);
  to.settle();
}

/** … and what becomes of the keys here. */
function giveAway(server: SimServer, keys: readonly string[]): void {
  server.runner.execute(new SimClient("test", 0), findCommand("del") as SimCommand, ["DEL", ...keys]);
  server.runner.propagate(true);
  server.settle();
}
