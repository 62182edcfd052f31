import { swappedPlaces, type Place, type PlacedCommand } from "./commands-of.ts";
import type { RepairBook } from "./repair-book.ts";

/** What has to be known of a unit to tell whether its effect is in the destination already. */
export interface PlacedUnit {
  /** Offset at which it ends. */
  readonly end: number;
  /** Null where it can't be told which keys it names. */
  readonly places: readonly Place[] | null;
}

/**
 * Keys that must be taken from the source before the units can be applied, all of them at one offset at or beyond the last
 * unit's end.
 *
 * A unit is applied as a whole or passed over as a whole. Where some of its keys hold its effect already and others don't, the
 * others must be brought up to it. They are then ahead, too, which concerns every other unit that names one of them; so all keys
 * that hang together through the units are brought up at once. Afterwards none of these units is in between any more.
 */
export function keysBetween(units: readonly PlacedUnit[], book: RepairBook): Set<Place> {
  const wanted = new Set<Place>();
  for (const { end, places } of units) {
    const covered = places?.filter((place) => book.covers(place, end)).length ?? 0;
    if (places !== null && covered > 0 && covered < places.length) for (const place of places) wanted.add(place);
  }
  for (let size = -1; wanted.size > 0 && size !== wanted.size;) {
    size = wanted.size;
    for (const { places } of units) {
      if (places?.some((place) => wanted.has(place)) !== true) continue;
      for (const place of places) wanted.add(place);
    }
  }
  return wanted;
}

/** True when the effect of the unit is in the destination. To be asked when `keysBetween` finds nothing (more). */
export function isPassedOver({ end, places }: PlacedUnit, book: RepairBook): boolean {
  return places !== null && places.length > 0 && places.every((place) => book.covers(place, end));
}

/**
 * Keys that commands which failed may have left other than the source's: their own, and those that later commands may have
 * written from them. `commands`: in order, from the first that failed or before it, up to the last that was applied. Null where
 * a command that failed does not tell its keys.
 */
export function taintedKeys(
  commands: Iterable<Pick<PlacedCommand, "places" | "swaps"> & { readonly failed: boolean }>,
): Set<Place> | null {
  const tainted = new Set<Place>();
  for (const { failed, places, swaps } of commands) {
    if (swaps !== undefined) for (const place of swappedPlaces([...tainted], swaps)) tainted.add(place);
    if (failed && (places === null || places.length === 0)) return null;
    if (places === null || !(failed || places.some((place) => tainted.has(place)))) continue;
    for (const place of places) tainted.add(place);
  }
  return tainted;
}
