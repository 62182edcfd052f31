/** A pipeline as a way from one address to others. */
export interface Flow {
  readonly name: string;
  readonly from: string;
  readonly to: readonly string[];
}

/** An address that was come to, and by which pipelines. */
interface Reached {
  readonly at: string;
  readonly by: readonly string[];
}

/** Names of the pipelines by which what is at `start` comes to `goal`, in order and as few as can be; null: not at all. */
export function circleOf(start: readonly string[], goal: readonly string[], flows: readonly Flow[]): readonly string[] | null {
  const seen = new Set(start);
  let reached = start.map((at): Reached => ({ at, by: [] }));
  while (reached.length > 0) {
    const next = reached.flatMap((place) => stepsFrom(place, flows));
    const home = next.find(({ at }) => goal.includes(at));
    if (home !== undefined) return home.by;
    reached = next.filter(({ at }) => !seen.has(at));
    for (const { at } of reached) seen.add(at);
  }
  return null;
}

function stepsFrom({ at, by }: Reached, flows: readonly Flow[]): Reached[] {
  return flows.filter(({ from }) => from === at).flatMap(({ name, to }) => to.map((next) => ({ at: next, by: [...by, name] })));
}
