import { isDeepStrictEqual } from "node:util";
import type { SlotOnItsWay } from "@sluice/redis";
import { SLOT_COUNT, SlotSet, type CustodyRecord } from "@sluice/wire";

/** What INFO tells of a primary's history (Redis server.c, `genRedisInfoString`; replication.c, `shiftReplicationId`). */
export interface History {
  /** master_replid, and master_repl_offset: the last byte of it. */
  readonly replid: string;
  readonly offset: number;
  /** run_id: another one for each start of the server. */
  readonly run: string;
  /** master_replid2: the history that it followed until it was promoted. */
  readonly former: string;
  /** second_repl_offset: the first byte of the former history that it has not got. */
  readonly formerEnd: number;
}

/** A look at a destination cluster. */
export interface Custody extends Pick<CustodyRecord, "owners"> {
  /** Of every primary; those that own nothing may be missing. */
  readonly histories: Readonly<Record<string, History>>;
  readonly moves: readonly SlotOnItsWay[];
  /** Replica → its primary. */
  readonly followed: Readonly<Record<string, string>>;
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
 * A failover alone loses data and marks together, and a move alone loses nothing: neither is doubted. What has gone over is doubted
 * for as long as whoever is promoted may lack it. Each look must hold histories that were read before its slots were: what begins
 * behind the former shows in the next look. What can't be told is doubted; but where no node is the same it is another cluster, and
 * nothing is compared.
 */
export function judgeCustody(
  before: CustodyRecord | null,
  now: Custody,
  nowMs: number,
): { readonly doubtful: SlotSet; readonly next: CustodyRecord } {
  const { owners } = now;
  const isSame = before !== null && Object.keys(before.histories).some((id) => now.nodeIds.includes(id));
  const present = now.moves.map((move) => ({ ...move, endedAt: null, arrived: null }));
  const past = isSame ? [...movesOf(before), ...changesOfOwner(before, now)] : [];
  const doubtful = isSame ? [...present, ...past].filter((move) => isDoubtful(move, before, now)) : [];
  const moving = new Set(present.map(({ slot }) => slot));
  const current = bySlot(owners);
  const kept = past
    .filter(({ slot, endedAt }) => endedAt !== null || !moving.has(slot))
    .map((move) => ended(move, before, now, nowMs))
    // What went on from there, or was given up, has other ends.
    .filter(({ slot, to, endedAt }) => current[slot] === to && endedAt > nowMs - REPLICA_LAG_MS);
  return {
    doubtful: SlotSet.of(doubtful.map(({ slot }) => slot)),
    next: { owners, histories: historiesOf(isSame ? before : null, now), moves: byWay([...present, ...kept]) },
  };
}

interface Move extends SlotOnItsWay {
  /** Null for one that lasts, or did when it was seen last. */
  readonly endedAt: number | null;
  readonly arrived: number | null;
}

function ended(move: Move, before: CustodyRecord | null, now: Custody, nowMs: number): Move & { readonly endedAt: number } {
  if (move.endedAt === null) return { ...move, endedAt: nowMs };
  const heir = heirOf(move, before, now);
  if (heir !== null) return { ...move, endedAt: nowMs, to: heir, arrived: null };
  // Told behind the look that showed the end: it covers all that had arrived.
  return { ...move, endedAt: move.endedAt, arrived: move.arrived ?? now.histories[move.to]?.offset ?? null };
}

function isDoubtful(move: Move, before: CustodyRecord, now: Custody): boolean {
  const { from, to, arrived } = move;
  // What its former owner has still, or again, nobody asks for behind the end; but the end may have been seen behind its history.
  if (arrived === null && !hasRetired(move, before, now) && isOther(from, before, now)) return true;
  return isOther(to, before, now) && heirOf(move, before, now) === null;
}

/** Whether the data of a node may be other than what a look before and all that it did since have made of it. */
function isOther(id: string, before: CustodyRecord, now: Custody): boolean {
  const [was, is] = [before.histories[id], now.histories[id]];
  // It joined as a primary, unless it was promoted: that leaves a former history behind.
  if (was === undefined) return is !== undefined && is.former !== NONE;
  if (is === undefined) return !isSilent(id, before, now);
  // Its first replica, and the end of its backlog, give a history that goes on another name (replication.c, `syncCommand`).
  const isRenamed = is.run === was.run && is.former === NONE;
  return is.replid !== was.replid && !isRenamed;
}

/** It owns nothing and does not answer, and nobody took over from it: nothing is known, and the next answer tells. */
function isSilent(id: string, before: CustodyRecord, now: Custody): boolean {
  const isIdle = before.owners[id] === undefined && now.followed[id] === undefined && now.nodeIds.includes(id);
  return isIdle && successorOf(id, before, now) === null;
}

/** It gave its last slot away: from 7.0 on such a node becomes a replica of whoever got that, or is taken from the cluster. */
function hasRetired({ from, to }: Move, before: CustodyRecord, now: Custody): boolean {
  const isGone = !now.nodeIds.includes(from) || now.followed[from] === to;
  return now.histories[from] === undefined && isGone && successorOf(from, before, now) === null;
}

/** Who was promoted in the place of a node; null for nobody. */
function successorOf(id: string, before: CustodyRecord | null, now: Custody): string | null {
  const replid = before?.histories[id]?.replid;
  return Object.keys(now.histories).find((other) => now.histories[other]?.former === replid) ?? null;
}

/** Who took over from the node that the slot went to, with all that had arrived there; null for nobody. */
function heirOf({ to, arrived }: Move, before: CustodyRecord | null, now: Custody): string | null {
  if (arrived === null || before?.histories[to] === undefined) return null;
  const heir = successorOf(to, before, now);
  return heir !== null && (now.histories[heir]?.formerEnd ?? 0) > arrived ? heir : null;
}

/** Slots that another node owns now, and not because it took over from the one before. */
function changesOfOwner(before: CustodyRecord, now: Custody): Move[] {
  if (isDeepStrictEqual(before.owners, now.owners)) return [];
  const [owners, heirs] = [bySlot(before.owners), bySlot(now.owners)];
  const hasSucceeded = (from: string, to: string): boolean => {
    if (before.histories[from]?.replid === now.histories[to]?.former) return true;
    // More than one promotion or start since: it was no primary, and has all that the other one had.
    const isNew = before.histories[to] === undefined && now.histories[to]?.former !== NONE;
    return isNew && now.owners[from] === undefined && before.owners[from] === now.owners[to];
  };
  const moves: Move[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const [from, to] = [owners[slot], heirs[slot]];
    if (from === undefined || to === undefined || from === to || hasSucceeded(from, to)) continue;
    moves.push({ slot, from, to, endedAt: null, arrived: null });
  }
  return moves;
}

/** Those of silent nodes stay what they were. */
function historiesOf(before: CustodyRecord | null, now: Custody): CustodyRecord["histories"] {
  const told = Object.entries(now.histories).map(([id, { replid, run }]) => [id, { replid, run }] as const);
  const silent = Object.entries(before?.histories ?? {}).filter(
    ([id]) => before !== null && now.histories[id] === undefined && isSilent(id, before, now),
  );
  return Object.fromEntries([...silent, ...told]);
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

/** In an order that does not depend on who told first. */
function byWay(moves: readonly Move[]): CustodyRecord["moves"] {
  const ways = new Map<string, Omit<Move, "slot"> & { readonly slots: SlotSet }>();
  for (const { slot, ...way } of moves) {
    const name = `${way.from} ${way.to} ${way.endedAt} ${way.arrived}`;
    const slots = ways.get(name)?.slots ?? new SlotSet();
    slots.add(slot);
    ways.set(name, { ...way, slots });
  }
  const sorted = [...ways].toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
  return sorted.map(([, { slots, from, to, endedAt, arrived }]) => ({ slots: slots.toString(), from, to, endedAt, arrived }));
}
