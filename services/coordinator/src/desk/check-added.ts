import { epochRecord, precheckRecord, recordKey, type Pipeline } from "@sluice/wire";
import { checkPipeline } from "./check-pipeline.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { formerPlace, sharedPlace, type GroupChanges } from "./group-changes.ts";
import { Refusal } from "./refusal.ts";

/**
 * Checks groups that are to be added to a pipeline that has run, as a start of them would be: their destinations, and whether the source can
 * be copied for them. Answers, by group, the highest number of a copy that marks in its destination speak of. `posted`: as it shall be, passwords in plain text; `existing`: as it was.
 * Throws `Refusal` 409 PIP-017, DST-005; `Retryable` BUS-001.
 */
export async function checkAdded(
  name: string,
  { posted, existing }: { readonly posted: Pipeline; readonly existing: Pipeline },
  changes: GroupChanges,
  deps: DeskDeps,
): Promise<ReadonlyMap<string, number>> {
  const { added } = changes;
  if (added.length === 0) return new Map();
  const what = `${added.length === 1 ? "group" : "groups"} ${added.join(", ")} can't be added to ${name}`;
  if (posted.mode === "changes")
    throw new Refusal(
      409,
      "PIP-017",
      `${what}: with \`mode: changes\` nothing is copied, and a group that comes later needs a copy`,
    );
  const shared = sharedPlace(posted, changes);
  if (shared !== null)
    throw new Refusal(409, "PIP-017", `${what}: ${shared} lead to the same server, where everything would be written twice`);
  const former = formerPlace(posted, existing, changes);
  if (former !== null)
    throw new Refusal(
      409,
      "PIP-017",
      `${what}: ${former} until this edit, and a writer of that group that was held up could apply once more what the copy holds`,
      "Leave the group its name. Or take that group away first, delete its keys `sluice:{…}:<pipeline>:<group>` and `sluice:{…}:<pipeline>:<group>:…` there, and add the other one then.",
    );
  const ignore = (await deps.records.get(recordKey.precheck(name), precheckRecord))?.value.ignore ?? [];
  const destinations = posted.destinations.filter(({ group }) => added.includes(group));
  const checked = await checkPipeline({ ...posted, destinations }, { ignore }, { isSealed: false }, deps);
  const failed = checked.report.results.filter(({ level, waived }) => level === "fail" && waived === null);
  const [first] = failed;
  if (first !== undefined) {
    const more = failed.length === 1 ? "" : ` (and ${failed.length - 1} more)`;
    const found = `${first.code === null ? "" : `${first.code} `}${first.endpoint}: ${first.found}; expected ${first.expected}`;
    throw new Refusal(409, "PIP-017", `${what}: ${found}${more}`, first.fix);
  }
  const epoch = (await deps.records.get(recordKey.epoch(name), epochRecord))?.value.epoch ?? 0;
  if (checked.highestEpoch > epoch) {
    throw new Refusal(
      409,
      "DST-005",
      `${what}: a destination holds marks of epoch ${checked.highestEpoch} of a pipeline and group of these names, and this one is at epoch ${epoch}`,
      "Give the group another name, or delete the former one's keys `sluice:{…` there.",
    );
  }
  return new Map(added.map((group) => [group, checked.highestCopy]));
}
