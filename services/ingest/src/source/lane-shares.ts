import { keySlot, type FramedCommand } from "@sluice/redis";
import { laneOf, type SlotSet } from "@sluice/wire";

/** What of a command goes into one lane, and the slot of its first key. */
export interface LaneShare {
  readonly args: Buffer[];
  readonly slot: number;
}

/**
 * Takes a command that changes each of its keys by itself apart by lane, with what the shard owns. `keys`: the arguments that are keys;
 * `step`: arguments of one key; `lanes`: into how many the slots are cut. The shares are views.
 */
export function laneShares(
  { buffer, argStarts, argLengths }: FramedCommand,
  keys: Int32Array,
  step: number,
  lanes: number,
  slots: SlotSet,
): ReadonlyMap<number, LaneShare> {
  const argument = (at: number): Buffer => {
    const start = argStarts[at] as number;
    return buffer.subarray(start, start + (argLengths[at] as number));
  };
  const shares = new Map<number, LaneShare>();
  for (const at of keys) {
    const slot = keySlot(argument(at));
    if (!slots.has(slot)) continue;
    const lane = laneOf(slot, lanes);
    const share = shares.get(lane) ?? { args: [argument(0)], slot };
    shares.set(lane, share);
    for (let part = 0; part < step; part++) share.args.push(argument(at + part));
  }
  return shares;
}
