import { SLOT_COUNT, SlotSet, type ShardTopology } from "@sluice/wire";

/** A shard with its slots ready to be asked. */
export type Owner = ShardTopology & { readonly set: SlotSet };

/** Ranges of slots that an event names; the rest is counted. */
const RANGES_SHOWN = 8;

/** What changed hands between two topologies, for people. */
export function describeTransfers(before: readonly Owner[], after: readonly Owner[]): string {
  const [from, to] = [ownersBySlot(before), ownersBySlot(after)];
  const moved = new Map<string, SlotSet>();
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const [giver, taker] = [from[slot]?.id ?? "nobody", to[slot]?.id ?? "nobody"];
    if (giver === taker) continue;
    const way = `from ${giver} to ${taker}`;
    const set = moved.get(way) ?? new SlotSet();
    set.add(slot);
    moved.set(way, set);
  }
  const moves = [...moved].map(([way, set]) => `${rangesOf(set)} ${way}`);
  const copied = after
    .filter(({ id, slots }) => !before.some((old) => old.id === id && old.slots === slots))
    .map(({ id }) => id);
  const gone = before.filter(({ id }) => !after.some((shard) => shard.id === id)).map(({ id }) => id);
  return [
    `slots moved: ${moves.join(", ")}`,
    ...(copied.length === 0 ? [] : [`copied anew: ${copied.join(", ")}`]),
    ...(gone.length === 0 ? [] : [`gone: ${gone.join(", ")}`]),
  ].join("; ");
}

/** Slot → who owns it. */
export function ownersBySlot(owners: readonly Owner[]): (Owner | undefined)[] {
  const bySlot: (Owner | undefined)[] = Array.from({ length: SLOT_COUNT });
  for (const owner of owners) for (const slot of owner.set) bySlot[slot] = owner;
  return bySlot;
}

/** For people. */
export function rangesOf(set: SlotSet): string {
  const ranges = set.toString().split(",");
  const shown = ranges.slice(0, RANGES_SHOWN).join(",");
  return ranges.length > RANGES_SHOWN ? `${shown},… (${set.size} slots)` : shown;
}
