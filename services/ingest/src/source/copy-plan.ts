import { servedCopy, type Addition, type CopiedShard, type GroupCopy, type VoidCopiesRecord } from "@sluice/wire";

/** Groups of a pipeline that were added since its first start, as its spec has them now. */
export type WantedGroups = ReadonlyMap<string, Addition>;

export interface CopyPlan {
  /** As they are to be from now on. */
  readonly copies: readonly GroupCopy[];
  /** Groups that no copy serves, with the number of their addition. */
  readonly wanted: Readonly<Record<string, number>>;
  /** The next copy's number lies above. */
  readonly above: number;
}

/**
 * What becomes of a shard's copies for groups that were added later, and which groups need another one. Pure. To be asked while no
 * such copy is under way: one that is said to be has broken off with its ingest, and is void.
 *
 * A copy is void, too, when the shard has gone on to another epoch, when no group of the pipeline is served by it any more, and for a group
 * whose writers say that they can't use it.
 */
export function planCopies(
  shard: CopiedShard & { readonly lastCopy?: number | undefined },
  groups: WantedGroups,
  voids: VoidCopiesRecord["groups"],
): CopyPlan {
  const isUsable = (group: string, copy: number): boolean => {
    const refused = voids[group];
    return refused?.epoch !== shard.epoch || copy > refused.copy;
  };
  const known = shard.copies ?? [];
  const newest = (group: string): GroupCopy | undefined => known.findLast((one) => group in one.groups);
  const copies = known.map((one): GroupCopy => {
    const served = Object.entries(one.groups).filter(
      ([group, number]) =>
        groups.get(group)?.number === number && newest(group) === one && isUsable(group, one.copy) && one.copy > aboveOf(group),
    );
    const isGood = one.phase === "stored" && one.epoch === shard.epoch && served.length > 0;
    if (!isGood) return one.phase === "void" ? one : { ...one, phase: "void", retry: null };
    return { ...one, groups: Object.fromEntries(served) };
  });
  const wanted: Record<string, number> = {};
  for (const [group, added] of groups) {
    const served = servedCopy({ ...shard, copies }, group, added);
    if (served === null || !isUsable(group, served.copy)) wanted[group] = added.number;
  }
  const numbers = [
    ...known.map(({ copy }) => copy),
    ...Object.values(voids).map(({ copy }) => copy),
    ...[...groups.values()].map(({ above }) => above),
  ];
  return { copies, wanted, above: Math.max(1, shard.lastCopy ?? 0, ...numbers) };

  function aboveOf(group: string): number {
    return groups.get(group)?.above ?? 0;
  }
}
