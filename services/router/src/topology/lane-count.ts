import type { Stored } from "@sluice/bus";
import type { DestinationRecord, Pipeline } from "@sluice/wire";

/**
 * Into how many lanes a source is cut; null while that can't be told because a destination is not known yet. A standalone source
 * has one lane, so that its transactions and multi-key commands stay whole, unless every destination is a cluster, which takes
 * them slot by slot anyway.
 */
export function laneCount(
  pipeline: Pick<Pipeline, "destinations" | "lanes">,
  source: "standalone" | "cluster",
  destinations: ReadonlyMap<string, Stored<DestinationRecord>>,
): number | null {
  if (source === "cluster") return pipeline.lanes;
  const modes = pipeline.destinations.map(({ group }) => destinations.get(group)?.value.mode);
  if (modes.includes("standalone")) return 1;
  return modes.includes(undefined) ? null : pipeline.lanes;
}
