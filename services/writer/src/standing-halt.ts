import type { Stored } from "@sluice/bus";
import { Halt, type Code } from "@sluice/runtime";
import type { HaltRecord, LaneRecord, SpecRecord } from "@sluice/wire";

/** The mark is behind the unit at fault when these are found: it alone does not tell that something is missing there. */
const BEHIND_MARK: ReadonlySet<Code> = new Set<Code>(["DST-004", "DST-007", "DST-014"]);

/** Whether a lane that halted so would go on behind the unit at fault if it were only run again. */
export function isBehindMark(halt: Pick<HaltRecord, "code"> | null): boolean {
  return halt !== null && BEHIND_MARK.has(halt.code as Code);
}

/**
 * What a lane has to stay halted with, by its own record; null when it may work. Only the operator, by starting the pipeline,
 * lets a lane go on behind a unit that failed: a start writes the spec, and revisions grow over all records of the bucket. A
 * stop writes it, too, and lifts nothing; nor is a halt lifted where no spec is found.
 */
export function standingHalt(lane: Stored<LaneRecord> | null, spec: Stored<SpecRecord> | null): Halt | null {
  const halt = lane?.value.halt ?? null;
  if (lane === null || halt === null || !isBehindMark(halt)) return null;
  if (spec?.value.desired === "running" && spec.revision > lane.revision) return null;
  return new Halt(halt.code as Code, halt.message);
}
