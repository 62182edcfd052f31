import { keySlot } from "@sluice/testkit";
import { laneOf, SlotSet } from "@sluice/wire";

const PREFIX = "sluice-demo:probe";

/** Keys such that every lane of every shard has exactly one. `shards`: the slots of each; `lanes`: over the whole slot space. */
export function probeKeys(shards: readonly string[], lanes: number): string[] {
  const owners: number[] = [];
  const missing = new Set<string>();
  for (const [shard, text] of shards.entries()) {
    for (const slot of SlotSet.parse(text)) {
      owners[slot] = shard;
      missing.add(`${shard}.${laneOf(slot, lanes)}`);
    }
  }
  const keys: string[] = [];
  for (let number = 0; missing.size > 0; number++) {
    const key = `${PREFIX}:${number}`;
    const slot = keySlot(key);
    if (missing.delete(`${owners[slot]}.${laneOf(slot, lanes)}`)) keys.push(key);
  }
  return keys;
}
