import { parseGroupLaneLabel } from "@sluice/wire";
import type { KnownPipeline } from "../lifecycle/pipeline-book.ts";

/** Keys of the running copies that stand in the destination that has most of them, and those that the sources said they have. */
export function copiedKeys({ shards, lanes }: Pick<KnownPipeline, "shards" | "lanes">): { keys: number; expectedKeys: number } {
  const byGroup = new Map<string, number>();
  for (const [label, { value }] of lanes) {
    const { group, shard } = parseGroupLaneLabel(label);
    if (value.epoch === shards.get(shard)?.value.epoch) byGroup.set(group, (byGroup.get(group) ?? 0) + value.keys);
  }
  const expectedKeys = [...shards.values()].reduce((sum, { value }) => sum + value.copied.expectedKeys, 0);
  return { keys: Math.max(0, ...byGroup.values()), expectedKeys };
}
