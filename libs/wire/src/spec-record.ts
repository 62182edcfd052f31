import { z } from "zod";
import { addition } from "./group-copy.ts";
import { pipelineSchema } from "./pipeline.ts";
import { haltRecord } from "./trouble-record.ts";

const count = z.number().int().nonnegative();
/** Wall clock in ms since 1970: shown to people, never compared between machines. */
const at = z.number().nonnegative();

/**
 * What a pipeline shall do. Data services run one only where it says `running`; of one that is `paused` ingest goes on.
 *
 *     created    it is kept, and nothing of it runs
 *     checking   a start was asked for: its prechecks run, or one of them forbids it
 *     running    it runs
 *     paused     ingest stores what the source sends, nothing is applied
 *     stopped    nothing runs once what is stored is applied
 *     failed     a retry window has closed: nothing runs, everything stays where it is; `failure` says why
 *     cut-over   nothing of it runs any more, for good; what its destinations hold is settled
 */
export const desiredState = z.enum(["created", "checking", "running", "paused", "stopped", "failed", "cut-over"]);
export type DesiredState = z.output<typeof desiredState>;

/** Former groups that a pipeline keeps in mind: the latest. */
export const MOST_FORMER_GROUPS = 64;

/** What the operator wants of a pipeline. `pipeline` is kept as it was written (durations as text); its secrets are sealed. */
export const specRecord = z.object({
  pipeline: pipelineSchema,
  desired: desiredState,
  createdAt: at,
  /** It has never run: all prechecks come before its first start. */
  isNew: z.boolean().optional(),
  /** Its endpoints were edited since it ran: all prechecks come before the next start. */
  isEdited: z.boolean().optional(),
  /** Present where it is `failed`. */
  failure: haltRecord.optional(),
  /** It is `stopped` by itself: a full copy is all that it was for. */
  isCopied: z.boolean().optional(),
  /** Where it is to be `stopped`: how long its lanes may take to apply what is stored; absent: as long as the coordinator deems fit. */
  drainMs: count.optional(),
  /** How often the operator has started or resumed it. */
  starts: count.optional(),
  /** Revision of the spec that the last of these wrote; 0 or absent: this one. Only a start lifts a halt behind the mark. */
  startRevision: count.optional(),
  /** Groups that were added since its first start. */
  additions: z.record(z.string(), addition).optional(),
  /** Number of the last addition that there was. */
  lastAddition: count.optional(),
  /** Groups that were taken away, the latest last: their marks may stand where they were. */
  formerGroups: z.array(z.string()).max(MOST_FORMER_GROUPS).optional(),
  /**
   * Revision of the spec by which everything was made that runs; 0 or absent: this one. Since then only groups were added or taken away:
   * what runs for the others goes on.
   */
  madeRevision: count.optional(),
});
export type SpecRecord = z.output<typeof specRecord>;
/** The spec as it stands in its record, so that it can be written again: durations are text, defaults are not filled in. */
export type WrittenSpec = z.input<typeof specRecord>;
export const writtenSpec = z.custom<WrittenSpec>(
  (value) => specRecord.safeParse(value).success,
  "expected the spec of a pipeline",
);

/** Revision of the spec with which the operator last started the pipeline. */
export function lastStart({
  value,
  revision,
}: {
  readonly value: Pick<WrittenSpec, "startRevision">;
  readonly revision: number;
}): number {
  const { startRevision = 0 } = value;
  return startRevision === 0 ? revision : startRevision;
}

/**
 * `next` with the start that it belongs to, to be written over `existing`: itself where it counts another start, else the one before. Every
 * writer of a spec that exists writes what this answers.
 */
export function withLastStart(
  next: WrittenSpec,
  existing: { readonly value: WrittenSpec; readonly revision: number },
): WrittenSpec {
  const isStart = (next.starts ?? 0) !== (existing.value.starts ?? 0);
  const { madeRevision: _, ...rest } = next;
  return { ...rest, startRevision: isStart ? 0 : lastStart(existing) };
}

/** Revision of the spec by which everything was made that runs. */
export function lastMade({
  value,
  revision,
}: {
  readonly value: Pick<WrittenSpec, "madeRevision">;
  readonly revision: number;
}): number {
  const { madeRevision = 0 } = value;
  return madeRevision === 0 ? revision : madeRevision;
}

/** As `withLastStart`, where groups were added or taken away and nothing else was changed: what runs for the others goes on. */
export function withWorkKept(
  next: WrittenSpec,
  existing: { readonly value: WrittenSpec; readonly revision: number },
): WrittenSpec {
  return { ...withLastStart(next, existing), madeRevision: lastMade(existing) };
}
