import { SLOT_COUNT } from "@sluice/redis";
import { nodesText } from "./cluster-text.ts";
import type { SimServer } from "./sim-server.ts";
import { SlotMove } from "./slot-move.ts";

const NOBODY = -1;

/** One node's view of the cluster. */
interface View {
  /** Slot → place in `servers`. */
  readonly owners: Int16Array;
  /** Slots on their way from or to this node. */
  readonly migrating: Map<number, SimServer>;
  readonly importing: Map<number, SimServer>;
  /** It hears nothing of the others. */
  isHeld: boolean;
  /** Every slot has an owner that has not failed; null: not looked yet. */
  isHealthy: boolean | null;
}

/**
 * A cluster of servers of the model. Every node has a view of its own. What one claims, the others know at once, except those that
 * are held: that is how stale slot maps and two owners of a slot come about.
 */
export class SimCluster {
  readonly servers: SimServer[] = [];
  readonly #views = new Map<SimServer, View>();
  readonly #failed = new Set<SimServer>();
  readonly #epochs = new Map<SimServer, number>();
  /** Who took over from a primary that has not heard of it. */
  readonly #successors = new Map<SimServer, SimServer>();
  #epoch = 0;

  /** The first server owns the first ranges, `0-5460,5500`, and so on. */
  constructor(servers: readonly SimServer[] = [], slotRanges: readonly string[] = []) {
    for (const server of servers) this.add(server);
    for (const [index, ranges] of slotRanges.entries()) {
      const server = servers[index];
      if (server === undefined) throw new RangeError(`there are ${servers.length} servers for ${slotRanges.length} shards`);
      this.#epochs.set(server, ++this.#epoch);
      for (const range of ranges === "" ? [] : ranges.split(",")) {
        const [from = 0, to = from] = range.split("-").map(Number);
        for (const { owners } of this.#views.values()) owners.fill(index, from, to + 1);
      }
    }
  }

  /** A node joins, without slots. */
  add(server: SimServer): void {
    const known = [...this.#views.values()].find(({ isHeld }) => !isHeld);
    const owners = known?.owners.slice() ?? new Int16Array(SLOT_COUNT).fill(NOBODY);
    this.servers.push(server);
    this.#views.set(server, { owners, migrating: new Map(), importing: new Map(), isHeld: false, isHealthy: null });
    this.#epochs.set(server, 0);
    server.joined(this);
  }

  /** The primary of a slot; by the word of `asked`, else of the first node that hears the others. Null for none. */
  ownerOf(slot: number, asked?: SimServer): SimServer | null {
    const view = asked === undefined ? this.#current : this.#viewOf(asked);
    return this.servers[view.owners[slot] ?? NOBODY] ?? null;
  }

  migratingTo(server: SimServer, slot: number): SimServer | null {
    return this.#viewOf(server).migrating.get(slot) ?? null;
  }

  importingFrom(server: SimServer, slot: number): SimServer | null {
    return this.#viewOf(server).importing.get(slot) ?? null;
  }

  /** Slots on their way by the word of a node: CLUSTER NODES shows them. */
  movingSlots(server: SimServer): {
    readonly migrating: ReadonlyMap<number, SimServer>;
    readonly importing: ReadonlyMap<number, SimServer>;
  } {
    return this.#viewOf(server);
  }

  epochOf(server: SimServer): number {
    return this.#epochs.get(server) ?? 0;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The majority holds it to be down (`fail`). */
  hasFailed(server: SimServer): boolean {
    return this.#failed.has(server);
  }

  /** By the word of `asked`, every slot has an owner that has not failed (`cluster-require-full-coverage`). */
  isHealthy(asked: SimServer): boolean {
    const view = this.#viewOf(asked);
    if (view.isHealthy === null) {
      const failed = new Set([...this.#failed].map((server) => this.servers.indexOf(server)));
      view.isHealthy = view.owners.every((owner) => owner !== NOBODY && !failed.has(owner));
    }
    return view.isHealthy;
  }

  /** Ranges that a node owns by the word of `asked`: `0-5460`, `7`. */
  rangesOf(server: SimServer, asked: SimServer): [from: number, to: number][] {
    const place = this.servers.indexOf(server);
    const { owners } = this.#viewOf(asked);
    const ranges: [number, number][] = [];
    for (let from = owners.indexOf(place); from >= 0;) {
      let to = from;
      while (owners[to + 1] === place) to++;
      ranges.push([from, to]);
      from = owners.indexOf(place, to + 1);
    }
    return ranges;
  }

  /** CLUSTER NODES by the word of that node. */
  nodesText(asked: SimServer): string {
    return nodesText(this, asked);
  }

  /** CLUSTER SETSLOT at one node. The node that takes a slot to itself tells the others. */
  setSlot(at: SimServer, slot: number, how: "MIGRATING" | "IMPORTING" | "NODE" | "STABLE", other?: SimServer): void {
    const view = this.#viewOf(at);
    if (how === "STABLE" || other === undefined) {
      view.migrating.delete(slot);
      view.importing.delete(slot);
    } else if (how === "MIGRATING") view.migrating.set(slot, other);
    else if (how === "IMPORTING") view.importing.set(slot, other);
    else {
      this.#assign(view, slot, other);
      if (other === at) {
        view.importing.delete(slot);
        this.#claim(at, [slot]);
      }
    }
  }

  /** Begins to move a slot; the steps that follow are the caller's. */
  moveSlot(slot: number, to: SimServer): SlotMove {
    const from = this.ownerOf(slot);
    if (from === null || from === to) throw new RangeError(`slot ${slot} can't move to ${to.name}`);
    return new SlotMove(this, slot, from, to);
  }

  /** From here on the node's view of the others stays as it is, and they do not hear of it. */
  hold(server: SimServer): void {
    this.#viewOf(server).isHeld = true;
  }

  /** The node hears the others again, and becomes a replica where somebody took over from it. */
  release(server: SimServer): void {
    const view = this.#viewOf(server);
    view.isHeld = false;
    const successor = this.#successors.get(server);
    const known = this.servers.find((other) => other !== server && !this.#viewOf(other).isHeld);
    if (known !== undefined) view.owners.set(this.#viewOf(known).owners);
    this.#failed.delete(server);
    this.#lookAgain();
    if (successor === undefined) return;
    this.#successors.delete(server);
    this.#demote(server, successor);
  }

  /** The primary that a node became the replica of, or whom another took over from it, and so on; the node itself otherwise. */
  heirOf(server: SimServer): SimServer {
    let heir = server;
    for (let step = 0; step < this.servers.length; step++) {
      const next = this.#successors.get(heir) ?? heir.primaryLink?.primary;
      if (next === undefined) break;
      heir = next;
    }
    return heir;
  }

  /** The majority takes the node to be down: the cluster is down for clients until somebody takes over. */
  fail(server: SimServer): void {
    this.#failed.add(server);
    this.#lookAgain();
  }

  /**
   * The replica takes over from its primary, with what it has applied. A primary that runs and hears the others becomes its
   * replica at once; another one does when it is released, and believes until then that nothing happened.
   */
  failover(primary: SimServer, replica: SimServer): void {
    const link = replica.primaryLink;
    if (link?.primary !== primary) throw new RangeError(`${replica.name} is no replica of ${primary.name}`);
    const others = primary.replicas.filter(({ server }) => server !== replica).map(({ server }) => server);
    const slots = this.rangesOf(primary, this.#speakerFor(primary)).flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, index) => from + index),
    );
    link.promote();
    const view = this.#viewOf(primary);
    if (!primary.isUp) view.isHeld = true;
    this.#claim(replica, slots);
    for (const server of others) replica.addReplica(server);
    if (view.isHeld) this.#successors.set(primary, replica);
    else this.#demote(primary, replica);
  }

  get #current(): View {
    const view = [...this.#views.values()].find(({ isHeld }) => !isHeld);
    if (view === undefined) throw new Error("no node of the cluster hears the others");
    return view;
  }

  #viewOf(server: SimServer): View {
    const view = this.#views.get(server);
    if (view === undefined) throw new RangeError(`${server.name} is no node of this cluster`);
    return view;
  }

  #speakerFor(server: SimServer): SimServer {
    return this.servers.find((other) => other !== server && !this.#viewOf(other).isHeld) ?? server;
  }

  #lookAgain(): void {
    for (const view of this.#views.values()) view.isHealthy = null;
  }

  #assign(view: View, slot: number, owner: SimServer): void {
    view.owners[slot] = this.servers.indexOf(owner);
    view.isHealthy = null;
    view.migrating.delete(slot);
  }

  /** A node with a new epoch owns these slots; whoever hears it believes it. */
  #claim(server: SimServer, slots: readonly number[]): void {
    this.#epochs.set(server, ++this.#epoch);
    const isHeard = !this.#viewOf(server).isHeld;
    for (const [other, view] of this.#views) {
      if (other !== server && (view.isHeld || !isHeard)) continue;
      for (const slot of slots) this.#assign(view, slot, server);
    }
  }

  #demote(server: SimServer, primary: SimServer): void {
    this.#viewOf(server).migrating.clear();
    this.#viewOf(server).importing.clear();
    const heir = this.heirOf(primary);
    heir.addReplica(server);
  }
}
