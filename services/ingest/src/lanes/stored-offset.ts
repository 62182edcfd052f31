/** What a lane tells of what JetStream has not stored yet. */
export interface UnstoredLane {
  /** Where its first unit begins that is not stored; infinite when there is none. */
  readonly unstoredFrom: number;
}

/**
 * Everything up to here is stored: the lowest begin of an unstored unit over all lanes, else `boundary`, the end of the last unit
 * that was read. What may be said to be stored, and nothing more (H5).
 */
export function storedOffset(lanes: readonly UnstoredLane[], boundary: number): number {
  let stored = boundary;
  for (const lane of lanes) stored = Math.min(stored, lane.unstoredFrom);
  return stored;
}
