import { slotsWithoutOwner, type Deployment } from "@sluice/redis";
import { SlotSet, type TopologyRecord } from "@sluice/wire";

/**
 * Why nothing may be decided by a look at the source; null when it may. Slots on their way have keys on both sides, a primary
 * that is down may come back or be followed by its replica, and nodes that disagree are about to agree: the next look tells.
 */
export function obstacleOf(seen: Deployment, current: TopologyRecord | null): string | null {
  if (seen.trouble !== null) return seen.trouble;
  const missing = slotsWithoutOwner(seen.primaries);
  const covered = SlotSet.parse(current?.shards.map(({ slots }) => slots).join(",") ?? "0-16383");
  if (missing !== "" && SlotSet.parse(missing).overlap(covered) > 0) return `nobody owns the slots ${missing}`;
  if (seen.movingSlots.length > 0) return `slots ${SlotSet.of(seen.movingSlots).toString()} are on their way`;
  return null;
}

/** Lets a picture of the source pass when two looks in a row showed the same, the first one of all at once. */
export class SettledLook {
  #last: string | null = null;

  /** `isFirst`: nothing is decided yet, so that nothing can be undone by a look that was too early. */
  confirm(seen: Deployment, isFirst: boolean): boolean {
    const picture = JSON.stringify([seen.mode, seen.primaries]);
    const isConfirmed = isFirst || picture === this.#last;
    this.#last = picture;
    return isConfirmed;
  }

  /** The next look stands alone again. */
  forget(): void {
    this.#last = null;
  }
}
