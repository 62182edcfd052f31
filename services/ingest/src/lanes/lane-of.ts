import { SLOT_COUNT } from "@sluice/redis";

/** The lane of a slot where `lanes` cut the slots evenly; part of the epoch, since batches are stored by it (H29). */
export function laneOf(slot: number, lanes: number): number {
  return lanes === 1 ? 0 : Math.floor((slot * lanes) / SLOT_COUNT);
}
