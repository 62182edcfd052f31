import { endpointName, type Reply } from "@sluice/redis";
import { SLOT_COUNT } from "@sluice/wire";

/** A node by `host:port`. */
export interface ClusterNode {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Which primary serves each slot of a cluster, as one of its nodes says. */
export class SlotMap {
  readonly nodes: readonly ClusterNode[];
  readonly #owners: Int16Array;

  private constructor(nodes: readonly ClusterNode[], owners: Int16Array) {
    this.nodes = nodes;
    this.#owners = owners;
  }

  /** Reads the answer to CLUSTER SLOTS. `asked`: the host it came from, which an empty host stands for. */
  static read(reply: Reply, asked: string): SlotMap {
    const nodes: ClusterNode[] = [];
    const indexes = new Map<string, number>();
    const owners = new Int16Array(SLOT_COUNT).fill(-1);
    for (const range of Array.isArray(reply) ? reply : []) {
      if (!Array.isArray(range) || !Array.isArray(range[2])) continue;
      const [from, to, primary] = range;
      const host = String(primary[0] ?? "") || asked;
      const port = Number(primary[1]);
      const name = endpointName({ host, port });
      let index = indexes.get(name);
      if (index === undefined) {
        index = nodes.push({ name, host, port }) - 1;
        indexes.set(name, index);
      }
      owners.fill(index, Number(from), Number(to) + 1);
    }
    return new SlotMap(nodes, owners);
  }

  /** The primary of a slot; null where no node serves it. */
  ownerOf(slot: number): ClusterNode | null {
    return this.nodes[this.#owners[slot] ?? -1] ?? null;
  }

  /** A redirect said that `slot` is served by another node: true from now on, until the map is read again. */
  moved(slot: number, host: string, port: number): SlotMap {
    const name = endpointName({ host, port });
    const known = this.nodes.findIndex((node) => node.name === name);
    const nodes = known >= 0 ? this.nodes : [...this.nodes, { name, host, port }];
    const owners = this.#owners.slice();
    owners[slot] = known >= 0 ? known : nodes.length - 1;
    return new SlotMap(nodes, owners);
  }

  /** Names of the nodes that serve any of `slots`. */
  nodesOf(slots: Iterable<number>): string[] {
    return this.lowestOnEach(slots).flatMap((slot) => this.ownerOf(slot)?.name ?? []);
  }

  /** The lowest of `slots` on each node that serves any of them. */
  lowestOnEach(slots: Iterable<number>): number[] {
    const lowest = new Map<number, number>();
    for (const slot of slots) {
      const owner = this.#owners[slot] ?? -1;
      if (!lowest.has(owner)) lowest.set(owner, slot);
    }
    return [...lowest.values()];
  }
}
