import type { Stored } from "@sluice/bus";
import { Halt, type Code } from "@sluice/runtime";
import { isBehindMark, lastStart, type LaneRecord, type SpecRecord } from "@sluice/wire";

/**
 * What a lane has to stay halted with, by its own record; null when it may work. Only the operator, by starting the pipeline,
 * lets a lane go on behind a unit that failed: the spec says which of its revisions that wrote, and revisions grow over all
 * records of the bucket. Edits and cut-overs write it, too, and lift nothing; nor is a halt lifted where no spec is found.
 */
export function standingHalt(lane: Stored<LaneRecord> | null, spec: Stored<SpecRecord> | null): Halt | null {
  const halt = lane?.value.halt ?? null;
  if (lane === null || halt === null || !isBehindMark(halt)) return null;
  if (spec?.value.desired === "running" && lastStart(spec) > lane.revision) return null;
  return new Halt(halt.code as Code, halt.message);
}
