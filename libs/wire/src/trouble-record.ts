import { z } from "zod";

/** Wall clock in ms since 1970: shown to people, never compared between machines. */
const at = z.number().nonnegative();

/** Why something stopped for good, with what an operator can do about it. */
export const haltRecord = z.object({ code: z.string(), message: z.string(), remedy: z.string(), at });
export type HaltRecord = z.output<typeof haltRecord>;

/** The mark is behind the unit at fault when these are found: it alone does not tell that something is missing there. */
const BEHIND_MARK: ReadonlySet<string> = new Set(["DST-004", "DST-007", "DST-014"]);

/** Whether a lane that halted so would go on behind the unit at fault if it were only run again. */
export function isBehindMark(halt: Pick<HaltRecord, "code"> | null): boolean {
  return halt !== null && BEHIND_MARK.has(halt.code);
}

/** Why something waits, and since when. */
export const retryRecord = z.object({
  /** `source s0`, `destination main`, `bus`: its first word says of what kind it is, see `endpointKindOf`. */
  endpoint: z.string(),
  since: at,
  reason: z.string(),
  /** It waits for its turn or for a time of day: nothing is wrong with the endpoint, and no retry window counts. */
  isTurn: z.boolean().optional(),
});
export type RetryRecord = z.output<typeof retryRecord>;

export const endpointKind = z.enum(["source", "destination", "bus"]);
export type EndpointKind = z.output<typeof endpointKind>;

/** Which retry window counts for an endpoint as a retry names it; null for none: Sluice itself failed. */
export function endpointKindOf(endpoint: string): EndpointKind | null {
  return endpointKind.safeParse(endpoint.split(" ", 1)[0]).data ?? null;
}
