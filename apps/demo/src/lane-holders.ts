import type { PipelineStatus } from "@sluice/wire";

type Lane = Pick<PipelineStatus["lanes"][number], "instance">;

/** The writer that has most of the lanes; null when none has any. */
export function busiestWriter(lanes: readonly Lane[]): string | null {
  const counts = new Map<string, number>();
  for (const { instance } of lanes) if (instance !== null) counts.set(instance, (counts.get(instance) ?? 0) + 1);
  return [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? null;
}

/** Who has these lanes: `writer-1 (3), writer-2 (6)`; without numbers where it is one writer. */
export function holdersOf(lanes: readonly Lane[]): string {
  const counts = new Map<string, number>();
  for (const { instance } of lanes) counts.set(instance ?? "nobody", (counts.get(instance ?? "nobody") ?? 0) + 1);
  if (counts.size === 1) return [...counts.keys()].join("");
  return [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} (${count})`)
    .join(", ");
}
