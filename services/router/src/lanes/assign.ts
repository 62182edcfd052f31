/** Work → the instance that does it. */
export type Assignment = ReadonlyMap<string, string>;

/**
 * Gives every wanted item to an instance. Pure and deterministic: equal input in any order, equal answer.
 *
 * - Items whose owner is in `awaited` (not heard of yet, maybe alive) stay where they are and are left out of the balance.
 * - The rest is spread over `live` so that the counts of any two instances differ by at most 1, with the fewest moves that
 *   reach this: an item stays with its live owner unless that one has too many.
 * - Items that nobody can take (`live` is empty) are absent from the answer.
 *
 * Which instances may keep one item more than the others is what decides about moves: those that hold the most already.
 */
export function assign(
  wanted: Iterable<string>,
  live: Iterable<string>,
  previous: Assignment,
  awaited: ReadonlySet<string> = new Set(),
): Map<string, string> {
  const members = [...new Set(live)].toSorted();
  const kept = new Map<string, string[]>(members.map((member) => [member, []]));
  const result = new Map<string, string>();
  const homeless: string[] = [];
  for (const item of [...new Set(wanted)].toSorted()) {
    const owner = previous.get(item);
    const held = owner === undefined ? undefined : kept.get(owner);
    if (held !== undefined) held.push(item);
    else if (owner !== undefined && awaited.has(owner)) result.set(item, owner);
    else homeless.push(item);
  }
  if (members.length === 0) return result;

  const room: string[] = [];
  for (const { member, items, quota } of withQuotas(kept, homeless.length)) {
    for (const item of items.slice(0, quota)) result.set(item, member);
    homeless.push(...items.slice(quota));
    for (let held = items.length; held < quota; held++) room.push(member);
  }
  for (const [index, item] of homeless.toSorted().entries()) result.set(item, room[index]!);
  return result;
}

/** How many items each member shall have: the same for all, one more for those that hold the most where it does not divide. */
function withQuotas(kept: ReadonlyMap<string, readonly string[]>, homeless: number) {
  const total = homeless + [...kept.values()].reduce((sum, items) => sum + items.length, 0);
  const share = Math.floor(total / kept.size);
  const larger = total % kept.size;
  return [...kept]
    .toSorted(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
    .map(([member, items], rank) => ({ member, items, quota: rank < larger ? share + 1 : share }));
}
