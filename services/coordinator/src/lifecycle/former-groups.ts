import type { Records } from "@sluice/bus";
import type { Logger } from "@sluice/runtime";
import { parseGroupLaneLabel, recordKey } from "@sluice/wire";
import type { KnownPipeline } from "./pipeline-book.ts";

const WATCH = "destination.";

/** A record of a group, at the revision that is known of it. */
export interface GroupRecord {
  readonly key: string;
  readonly revision: number;
}

/**
 * What is left in the records of groups that a pipeline does not have any more. Those of a group count only once no instance has a lane of
 * it: until then its writers may still say something.
 */
export function formerGroupRecords(known: KnownPipeline): GroupRecord[] {
  const { name, spec, assignment, lanes, destinations, watches } = known;
  if (spec === null) return [];
  const present = new Set(spec.value.pipeline.destinations.map(({ group }) => group));
  for (const label of Object.keys(assignment?.value.lanes ?? {})) present.add(parseGroupLaneLabel(label).group);
  const found: GroupRecord[] = [];
  for (const [label, { revision }] of lanes) {
    if (!present.has(parseGroupLaneLabel(label).group)) found.push({ key: recordKey.lane(name, label), revision });
  }
  for (const [group, { revision }] of destinations) {
    if (!present.has(group)) found.push({ key: recordKey.destination(name, group), revision });
  }
  for (const [watch, { revision }] of watches) {
    if (watch.startsWith(WATCH) && !present.has(watch.slice(WATCH.length)))
      found.push({ key: recordKey.router(name, watch), revision });
  }
  return found;
}

/** Removes what is left of groups that were taken away; to be called now and then. What was written meanwhile is left for the next time. */
export async function removeFormerGroups(
  known: KnownPipeline,
  { records, log }: { readonly records: Pick<Records, "removeIf" | "remove">; readonly log: Logger },
): Promise<void> {
  const left = formerGroupRecords(known);
  for (const { key, revision } of left) await records.removeIf(key, revision).catch(() => undefined);
  for (const group of new Set(
    [...known.destinations.keys()].filter((one) => left.some(({ key }) => key === recordKey.destination(known.name, one))),
  ))
    await records.remove(recordKey.kept(known.name, group));
  if (left.length > 0)
    log.info({ pipeline: known.name, records: left.length }, "records of groups that were taken away are removed");
}
