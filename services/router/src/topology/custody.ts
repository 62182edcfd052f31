import { isDeepStrictEqual } from "node:util";
import type { SlotOnItsWay } from "@sluice/redis";
import { SLOT_COUNT, SlotSet, type CustodyRecord } from "@sluice/wire";

/** A look at a destination cluster. */
export interface Custody extends Pick<CustodyRecord, "owners" | "histories"> {
  /** master_replid2 of each primary: the history that it had before it was promoted. */
  readonly formerHistories: Readonly<Record<string, string>>;
  readonly moves: readonly SlotOnItsWay[];
  /** Every node that the cluster names. */
  readonly nodeIds: readonly string[];
}

/** What INFO shows as master_replid2 where there is none. */
const NONE = "0".repeat(40);
/** A replica that lags by more than this is taken for one that nobody promotes. */
const REPLICA_LAG_MS = 60_000;

/**
 * What a look at a destination cluster comes to, compared with the one before: what to remember of it, and the slots of which nobody may
 * know any more what they hold. These were on their way between two nodes, or had just gone over, while one of the two began
 * another history. Pure.
 *
 * MIGRATE does not wait for replicas. A node that takes over may lack keys that had arrived, or hold keys still that had left,
 * and the slot's mark, which is a key like the others, may be with either part:
 *
 *     slot 7   A holds k1 and k2, mark 1500     B holds nothing yet
 *              A holds k2, mark 1500            B holds k1, its replica does not
 *              A holds k2, mark 1500            the replica is promoted: k1 is nowhere, and the mark says 1500
 *
 * A failover alone loses data and marks together, and a move alone loses nothing: neither is doubted. Each look must hold histories
 * that were read before its slots were, so that whatever begins between two looks shows in the later one. What can't be told is
 * doubted; but where no node is the same it is another cluster, and nothing is compared.
 */
export function judgeCustody(
  before: CustodyRecord | null,
  now: Custody,
  nowMs: number,
): { readonly doubtful: SlotSet; readonly next: CustodyRecord } {
  const { owners, histories } = now;
  const isSame = before !== null && Object.keys(before.histories).some((id) => now.nodeIds.includes(id));
  const present = now.moves.map((move) => ({ ...move, endedAt: null }));
  const past = isSame ? [...movesOf(before), ...changesOfOwner(before, now, nowMs)] : [];
  const moves = [...present, ...past];
  const doubtful = isSame
    ? SlotSet.of(moves.filter((move) => isDoubtful(move, before, now)).map(({ slot }) => slot))
    : new SlotSet();
  const moving = new Set(present.map(({ slot }) => slot));
  const kept = past
    .filter(({ slot, endedAt }) => endedAt !== null || !moving.has(slot))
    .map((move) => ({ ...move, endedAt: move.endedAt ?? nowMs }))
    .filter(({ endedAt }) => endedAt > nowMs - REPLICA_LAG_MS);
  return { doubtful, next: { owners, histories, moves: byWay([...present, ...kept]) } };
}

type Move = SlotOnItsWay & { readonly endedAt: number | null };

function isDoubtful({ from, to }: Move, before: CustodyRecord, now: Custody): boolean {
  return [from, to].some((id) => {
    const [was, is] = [before.histories[id], now.histories[id]];
    // It joined as a primary, unless it was promoted: that leaves a former history behind.
    if (was === undefined && is !== undefined) return now.formerHistories[id] !== NONE;
    return was !== is;
  });
}

/** Slots that another node owns now, and not because it took over from the one before. */
function changesOfOwner(before: CustodyRecord, now: Custody, nowMs: number): Move[] {
  if (isDeepStrictEqual(before.owners, now.owners)) return [];
  const [owners, heirs] = [bySlot(before.owners), bySlot(now.owners)];
  const moves: Move[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const [from, to] = [owners[slot], heirs[slot]];
    if (from === undefined || to === undefined || from === to) continue;
    if (before.histories[from] !== now.formerHistories[to]) moves.push({ slot, from, to, endedAt: nowMs });
  }
  return moves;
}

/** Slot → id of its owner. */
function bySlot(owners: CustodyRecord["owners"]): (string | undefined)[] {
  const found: (string | undefined)[] = Array.from({ length: SLOT_COUNT });
  for (const [id, slots] of Object.entries(owners)) for (const slot of SlotSet.parse(slots)) found[slot] = id;
  return found;
}

function movesOf({ moves }: CustodyRecord): Move[] {
  return moves.flatMap(({ slots, ...way }) => Array.from(SlotSet.parse(slots), (slot) => ({ slot, ...way })));
}

function byWay(moves: readonly Move[]): CustodyRecord["moves"] {
  const ways = new Map<string, Omit<Move, "slot"> & { readonly slots: SlotSet }>();
  for (const { slot, from, to, endedAt } of moves) {
    const name = `${from} ${to} ${endedAt}`;
    const way = ways.get(name) ?? { slots: new SlotSet(), from, to, endedAt };
    way.slots.add(slot);
    ways.set(name, way);
  }
  return [...ways.values()].map(({ slots, from, to, endedAt }) => ({ slots: slots.toString(), from, to, endedAt }));
}
