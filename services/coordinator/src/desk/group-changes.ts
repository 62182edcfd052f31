import { MOST_FORMER_GROUPS, type Addition, type Pipeline, type WrittenSpec } from "@sluice/wire";
import { place } from "./same-source.ts";

/** Groups that an edit adds to a pipeline, or takes away. */
export interface GroupChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

type Destinations = Pick<Pipeline, "destinations">;

export function groupChanges(posted: Destinations, existing: Destinations): GroupChanges {
  const [now, before] = [posted, existing].map(({ destinations }) => destinations.map(({ group }) => group)) as [
    string[],
    string[],
  ];
  return {
    added: now.filter((group) => !before.includes(group)),
    removed: before.filter((group) => !now.includes(group)),
  };
}

/** The groups of which each is where another one is already, as `one and other`; null where each has a place of its own. */
export function sharedPlace({ destinations }: Destinations, { added }: GroupChanges): string | null {
  for (const { group, url } of destinations.filter((one) => added.includes(one.group))) {
    const other = destinations.find((one) => one.group !== group && place(one.url) === place(url));
    if (other !== undefined) return `${group} and ${other.group}`;
  }
  return null;
}

/** An added group that is where another one was until this edit, as `one is where other was`; null where none is. */
export function formerPlace(posted: Destinations, existing: Destinations, { added }: GroupChanges): string | null {
  for (const { group, url } of posted.destinations.filter((one) => added.includes(one.group))) {
    const former = existing.destinations.find((one) => one.group !== group && place(one.url) === place(url));
    if (former !== undefined) return `${group} is where ${former.group} was`;
  }
  return null;
}

/** The pipeline as it was written, with those groups alone that both have: what differs else is told by it. */
export function withCommonGroups<P extends { readonly destinations: readonly object[] }>(
  pipeline: P,
  changes: GroupChanges,
): P {
  const others = new Set([...changes.added, ...changes.removed]);
  return { ...pipeline, destinations: pipeline.destinations.filter((one) => !others.has(groupOf(one))) };
}

function groupOf(destination: object): string {
  return "group" in destination && typeof destination.group === "string" ? destination.group : "main";
}

/** `above`: of each added group, the highest number of a copy that marks in its destination speak of. */
export function withAdditions(
  spec: WrittenSpec,
  { added, removed }: GroupChanges,
  above: ReadonlyMap<string, number>,
): WrittenSpec {
  if (added.length + removed.length === 0) return spec;
  // The latest last; its marks may be where it was, also when it is added again elsewhere.
  const former = [...(spec.formerGroups ?? []).filter((group) => !removed.includes(group)), ...removed];
  const kept = Object.entries(spec.additions ?? {}).filter(([group]) => !removed.includes(group));
  let number = spec.lastAddition ?? 0;
  const more = added.map((group): [string, Addition] => [group, { number: ++number, above: above.get(group) ?? 0 }]);
  return {
    ...spec,
    additions: Object.fromEntries([...kept, ...more]),
    lastAddition: number,
    ...(former.length === 0 ? {} : { formerGroups: former.slice(-MOST_FORMER_GROUPS) }),
  };
}

export interface GroupChange {
  readonly group: string;
  readonly change: "added" | "removed";
  /** For people: what becomes of it, and of what stands in its destination. */
  readonly text: string;
}

/** What an edit does to groups, in words. */
export function toldChanges(name: string, { added, removed }: GroupChanges): GroupChange[] {
  const coming = added.map((group): GroupChange => {
    const text = `group ${group} is added: it is copied anew over a second link to each shard of the source; the other groups go on`;
    return { group, change: "added", text };
  });
  const going = removed.map((group): GroupChange => {
    const text = `group ${group} is taken away: nothing more is written there, and the other groups go on. What it holds stays, expiries with their grace and its marks included (keys sluice:{…}:${name}:${group}…, which may be deleted by hand, and must be before a group of another name is added there); added again it is copied anew`;
    return { group, change: "removed", text };
  });
  return [...coming, ...going];
}
