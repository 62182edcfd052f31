import { SLOT_COUNT } from "../slot.ts";
import type { ClusterNode } from "./cluster-nodes.ts";
import type { AnnouncedSlots } from "./cluster-slots.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A replica as its primary's cluster, or its primary, tells of it. */
export type ReplicaNode = Address & { readonly id: string };

/** A primary that owns slots, and its replicas that the cluster holds to be alive. */
export interface PrimaryNode extends Address {
  /** Node id in a cluster, run id of a standalone server. */
  readonly id: string;
  /** Ranges in ascending order, `0-5460,5500`. */
  readonly slots: string;
  readonly replicas: readonly ReplicaNode[];
}

/** A slot on its way between two nodes, by their ids. An id may be of a node that has failed since. */
export interface SlotOnItsWay {
  readonly slot: number;
  readonly from: string;
  readonly to: string;
}

/** What a Redis deployment looks like from outside. */
export interface Deployment {
  readonly mode: "standalone" | "cluster";
  /** In the order of their lowest slot; a standalone server owns all slots. */
  readonly primaries: readonly PrimaryNode[];
  /** Primaries that live and own no slot: nodes that have just joined, or gave all away. */
  readonly idle: readonly PrimaryNode[];
  /** Every node that was named, those without slots and those that failed included; node ids, or the run id. */
  readonly nodeIds: readonly string[];
  /** Slots that are on their way from one node to another by the word of any primary, in ascending order. */
  readonly movingSlots: readonly number[];
  /**
   * The same with their ends, in no order; twice where both ends tell of it, and differently where one of them does not know who the
   * other is now. Nodes that own no slot are not asked.
   */
  readonly moves: readonly SlotOnItsWay[];
  /** Why this picture can't be relied on: a primary that does not answer or sees other owners. Null when all agree. */
  readonly trouble: string | null;
}

/** One node's own view: CLUSTER NODES as it answered. */
export type ClusterView = readonly ClusterNode[];

/** Slots and owners of a view, equal for two nodes exactly when they see the same owner for every slot. */
export function ownersOf(view: ClusterView): string {
  return view
    .filter(({ slots }) => slots !== "")
    .map(({ id, slots }) => `${id}=${slots}`)
    .toSorted()
    .join(" ");
}

/**
 * The primaries of a view with the addresses that clients shall use. `asked`: where the node whose view it is was reached; it
 * stands wherever the cluster leaves an address empty.
 */
export function primariesOf(view: ClusterView, announced: readonly AnnouncedSlots[], asked: Address): PrimaryNode[] {
  const owners = view.filter(({ slots, flags }) => slots !== "" && flags.has("master"));
  return described(owners, view, announced, asked).toSorted(
    (a, b) => Number.parseInt(a.slots, 10) - Number.parseInt(b.slots, 10),
  );
}

/** As `primariesOf`, those that live and own no slot. */
export function idlePrimariesOf(view: ClusterView, announced: readonly AnnouncedSlots[], asked: Address): PrimaryNode[] {
  const idle = view.filter((node) => node.slots === "" && node.flags.has("master") && isAlive(node));
  return described(idle, view, announced, asked);
}

function described(
  primaries: readonly ClusterNode[],
  view: ClusterView,
  announced: readonly AnnouncedSlots[],
  asked: Address,
): PrimaryNode[] {
  const preferred = new Map<string, Address>();
  for (const { primary, replicas } of announced) {
    for (const { id, host, port } of [primary, ...replicas]) {
      if (id !== "") preferred.set(id, { host: host === "" ? asked.host : host, port });
    }
  }
  const addressOf = ({ id, host, port }: ClusterNode): Address =>
    preferred.get(id) ?? { host: host === "" ? asked.host : host, port };
  return primaries.map((primary) => ({
    id: primary.id,
    ...addressOf(primary),
    slots: primary.slots,
    replicas: view
      .filter((node) => node.primaryId === primary.id && node.flags.has("slave") && isAlive(node))
      .map((node) => ({ id: node.id, ...addressOf(node) }))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  }));
}

function isAlive({ flags, isLinked, port }: ClusterNode): boolean {
  const isMyself = flags.has("myself");
  return port > 0 && (isMyself || isLinked) && !flags.has("fail") && !flags.has("fail?") && !flags.has("noaddr");
}

/** What the node whose view it is tells of slots on their way from and to it. */
export function movesOf(view: ClusterView): SlotOnItsWay[] {
  return view.flatMap(({ id, leaving, arriving }) => [
    ...Array.from(leaving, ([slot, to]) => ({ slot, from: id, to })),
    ...Array.from(arriving, ([slot, from]) => ({ slot, from, to: id })),
  ]);
}

/** Slots that none of the primaries owns, as ranges; empty when all 16384 are owned. */
export function slotsWithoutOwner(primaries: readonly Pick<PrimaryNode, "slots">[]): string {
  const isOwned = new Uint8Array(SLOT_COUNT);
  for (const { slots } of primaries) {
    for (const range of slots === "" ? [] : slots.split(",")) {
      const [from = 0, to = from] = range.split("-").map(Number);
      isOwned.fill(1, from, to + 1);
    }
  }
  const missing: string[] = [];
  for (let from = isOwned.indexOf(0); from >= 0;) {
    const next = isOwned.indexOf(1, from);
    const to = (next < 0 ? SLOT_COUNT : next) - 1;
    missing.push(from === to ? `${from}` : `${from}-${to}`);
    from = next < 0 ? -1 : isOwned.indexOf(0, next);
  }
  return missing.join(",");
}
