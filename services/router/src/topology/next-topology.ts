import { endpointName, type Address } from "@sluice/redis";
import { SlotSet, type ShardTopology, type TopologyRecord } from "@sluice/wire";
import { describeTransfers, ownersBySlot, type Owner } from "./transfers.ts";

/** Events that a topology keeps. */
const EVENTS = 100;

/** A source shard as it is seen now. */
export interface ObservedShard {
  readonly primary: Address;
  readonly slots: SlotSet;
  /** Replicas that ingest may link to, in the order of preference; empty where it shall link to the primary. */
  readonly replicas: readonly Address[];
}

export interface Observation {
  readonly mode: TopologyRecord["mode"];
  /** Lanes over the whole slot space; those of the record that exists already stay. */
  readonly lanes: number;
  readonly shards: readonly ObservedShard[];
  /** The epoch counter now: no epoch up to it may be continued by a shard whose slots changed. */
  readonly epoch: number;
  /** Numbers of shard ids from here on were never used. */
  readonly nextShard: number;
  /** Wall clock. */
  readonly nowMs: number;
}

/**
 * The topology that follows `current` by what is seen now; null when nothing changed. Pure. The caller has made sure that the
 * observation is whole and settled: every slot has one owner, and none is on its way.
 *
 * Nothing but slots says which shard is which: node ids change at a failover, and addresses may too. So each shard goes on as
 * the one that owns most of its slots, the largest overlap first, each id once:
 *
 *     current   s0 0-5460        s1 5461-10922        s2 10923-16383
 *     seen      0-4999           5000-10922           10923-16383, another address
 *     next      s0 0-4999, new   s1 5000-10922, new   s2 the same slots: another host and port,
 *               floor            floor                nothing else; ingest resumes there
 *
 * A shard whose slots changed gets the epoch counter as its floor: it is copied anew under a later epoch, and whatever was
 * stored of it by the old slots is never continued. What is owned by nobody we know gets an id that was never used.
 */
export function nextTopology(current: TopologyRecord | null, seen: Observation): TopologyRecord | null {
  if (current === null) {
    // A counter that stands above 0 was raised by what a destination holds: the records are younger than the stream may be (H6).
    const shards = seen.shards.map((shard, index) => entryOf(`s${seen.nextShard + index}`, shard, seen.epoch, null));
    return { mode: seen.mode, lanes: seen.lanes, shards, events: [] };
  }
  const before = current.shards.map((shard) => ({ ...shard, set: SlotSet.parse(shard.slots) }));
  const previousOf = matchShards(before, seen.shards);
  let unused = seen.nextShard;
  const next: Owner[] = [];
  const texts: string[] = [];
  for (const [index, shard] of seen.shards.entries()) {
    const previous = previousOf.get(index) ?? null;
    const floor = previous?.slots === shard.slots.toString() ? previous.floor : Math.max(previous?.floor ?? 0, seen.epoch);
    const entry = entryOf(previous?.id ?? `s${unused++}`, shard, floor, previous);
    if (previous !== null && addressOf(previous) !== addressOf(entry)) {
      texts.push(`shard ${entry.id} is read from ${addressOf(entry)} now, before from ${addressOf(previous)}`);
    }
    next.push({ ...entry, set: shard.slots });
  }
  const isMoved =
    next.length !== before.length || next.some(({ id, slots }) => before.every((old) => old.id !== id || old.slots !== slots));
  if (isMoved) texts.push(describeTransfers(before, next));
  if (texts.length === 0) return null;
  const shards = next
    .map(({ id, host, port, slots, floor }) => ({ id, host, port, slots, floor }))
    .toSorted((a, b) => numberOf(a.id) - numberOf(b.id));
  const events = [...current.events, ...texts.map((text) => ({ at: seen.nowMs, text }))].slice(-EVENTS);
  return { ...current, shards, events };
}

/** `topology` with the floor `epoch` at least for those shards whose slots are not what they were in `before`. */
export function raiseFloors(topology: TopologyRecord, before: TopologyRecord | null, epoch: number): TopologyRecord {
  const known = new Map(before?.shards.map((shard) => [shard.id, shard]));
  const shards = topology.shards.map((shard) =>
    known.get(shard.id)?.slots === shard.slots ? shard : { ...shard, floor: Math.max(shard.floor, epoch) },
  );
  return { ...topology, shards };
}

/** The number behind an id `s<number>`. */
export function numberOf(id: string): number {
  return Number(id.slice(1));
}

/** Index of a seen shard → the one that it continues. */
function matchShards(before: readonly Owner[], seen: readonly ObservedShard[]): Map<number, Owner> {
  const owners = ownersBySlot(before);
  const pairs: { readonly previous: Owner; readonly index: number; readonly overlap: number }[] = [];
  for (const [index, { slots }] of seen.entries()) {
    const overlaps = new Map<Owner, number>();
    for (const slot of slots) {
      const previous = owners[slot];
      if (previous !== undefined) overlaps.set(previous, (overlaps.get(previous) ?? 0) + 1);
    }
    for (const [previous, overlap] of overlaps) pairs.push({ previous, index, overlap });
  }
  const matched = new Map<number, Owner>();
  const taken = new Set<Owner>();
  for (const { previous, index } of pairs.toSorted(
    (a, b) => b.overlap - a.overlap || numberOf(a.previous.id) - numberOf(b.previous.id),
  )) {
    if (matched.has(index) || taken.has(previous)) continue;
    matched.set(index, previous);
    taken.add(previous);
  }
  return matched;
}

/** A replica is kept as long as it may be; the primary stands in where there is none. */
function entryOf(id: string, shard: ObservedShard, floor: number, previous: ShardTopology | null): ShardTopology {
  const kept = shard.replicas.find(
    (replica) => previous !== null && replica.host === previous.host && replica.port === previous.port,
  );
  const { host, port } = kept ?? shard.replicas[0] ?? shard.primary;
  return { id, host, port, slots: shard.slots.toString(), floor };
}

function addressOf({ host, port }: Address): string {
  return endpointName({ host, port });
}
