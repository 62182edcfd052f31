import { isOwnKey } from "@sluice/wire";
import { endpointName, parseClusterNodes } from "@sluice/redis";
import type { NodePool } from "./node-pool.ts";
import type { ClusterNode, SlotMap } from "./slot-map.ts";

/** Where the keys of slots stand. */
export interface Whereabouts {
  readonly map: SlotMap;
  /** Slots that are on their way from their owner, with the node that they go to. */
  readonly leaving: ReadonlyMap<number, ClusterNode>;
}

/** How many names there may be, and what to throw where there are more. */
export interface FewKeys {
  readonly limits: { readonly names: number };
  tooMany(): Error;
}

/**
 * The keys of slots, wherever they stand. While a slot moves, its owner holds those that have not left yet and the node that it
 * goes to the others (cluster specification, "Live reconfiguration"). Keys go one way, so who asks the owner first misses none.
 */
export class SlotKeys {
  readonly #pool: NodePool;
  readonly #slots: ReadonlySet<number>;

  constructor(pool: NodePool, slots: Iterable<number>) {
    this.#pool = pool;
    this.#slots = new Set(slots);
  }

  /** `map`: as it was read just now. Only an owner says which of its slots leave. */
  async look(map: SlotMap): Promise<Whereabouts> {
    const owners = map.lowestOnEach(this.#slots).flatMap((slot) => map.ownerOf(slot) ?? []);
    const leaving = new Map<number, ClusterNode>();
    await Promise.all(
      owners.map(async (owner) => {
        const view = parseClusterNodes(String(await this.#pool.call(owner, ["CLUSTER", "NODES"])));
        const own = view.find(({ flags }) => flags.has("myself"));
        for (const [slot, id] of own?.leaving ?? []) {
          const target = view.find((node) => node.id === id);
          if (target === undefined || !this.#slots.has(slot)) continue;
          const address = { host: target.host === "" ? owner.host : target.host, port: target.port };
          leaving.set(slot, { name: endpointName(address), ...address });
        }
      }),
    );
    return { map, leaving };
  }

  /** Without Sluice's own. Throws `few.tooMany()` before it takes far more of them into memory than `few` says. */
  async of(slot: number, { map, leaving }: Whereabouts, few?: FewKeys): Promise<Buffer[]> {
    const owner = map.ownerOf(slot);
    const target = leaving.get(slot);
    const held = owner === null ? [] : await this.#on(owner, slot, few);
    return target === undefined ? held : [...held, ...(await this.#on(target, slot, few))];
  }

  /** Slots whose keys may have been on the way while they were looked for. */
  changed(before: Whereabouts, after: Whereabouts): number[] {
    return [...this.#slots].filter(
      (slot) =>
        before.map.ownerOf(slot)?.name !== after.map.ownerOf(slot)?.name ||
        before.leaving.get(slot)?.name !== after.leaving.get(slot)?.name,
    );
  }

  async #on(node: ClusterNode, slot: number, few?: FewKeys): Promise<Buffer[]> {
    const count = Number(await this.#pool.call(node, ["CLUSTER", "COUNTKEYSINSLOT", slot]));
    if (count === 0) return [];
    // Sluice's own and those that have expired are counted, too: the caller counts once more.
    if (few !== undefined && count > 2 * few.limits.names) throw few.tooMany();
    const reply = await this.#pool.call(node, ["CLUSTER", "GETKEYSINSLOT", slot, count]);
    return (Array.isArray(reply) ? reply : []).filter((key): key is Buffer => Buffer.isBuffer(key) && !isOwnKey(key));
  }
}
