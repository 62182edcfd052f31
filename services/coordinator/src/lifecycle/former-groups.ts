import type { Records } from "@sluice/bus";
import type { Logger } from "@sluice/runtime";
import { parseGroupLaneLabel, recordKey, unreadRecord } from "@sluice/wire";
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

/**
 * Removes what is left of groups that were taken away; to be called now and then. What was written meanwhile is left for the next time: a
 * group may have come again behind the spec that this goes by, and what its writers say then is newer than that. Throws `Retryable` BUS-001.
 */
export async function removeFormerGroups(
  known: KnownPipeline,
  { records, log }: { readonly records: Pick<Records, "get" | "removeIf">; readonly log: Logger },
): Promise<void> {
  const { name, spec, assignment } = known;
  const left = formerGroupRecords(known);
  if (spec === null || left.length === 0) return;
  const groups = [...known.destinations.keys()].filter((group) =>
    left.some(({ key }) => key === recordKey.destination(name, group)),
  );
  // The watch tells in the order of revisions: of a group that came again behind these everything is above both.
  const goneSince = Math.max(spec.revision, assignment?.revision ?? 0);
  for (const group of groups) {
    const key = recordKey.kept(name, group);
    const kept = await records.get(key, unreadRecord);
    if (kept !== null && kept.revision < goneSince) left.unshift({ key, revision: kept.revision });
  }
  for (const { key, revision } of left) await records.removeIf(key, revision).catch(() => undefined);
  log.info({ pipeline: name, records: left.length }, "records of groups that were taken away are removed");
}
