import type { Records } from "@sluice/bus";
import { recordKey, SlotSet } from "@sluice/wire";
import { expect, test, vi } from "vitest";
import { beginEpoch, nextEpoch } from "./epoch.ts";
import { storedRecords } from "./source/stored-subjects.sample.ts";

const shard = { pipeline: "p", shard: "s0", slots: SlotSet.parse("0-99"), floor: 3 };

/** By the topology the shard named has these slots and this floor; the counter of epochs stands at 7. */
function recordsOf(id: string, slots: string, floor: number): Records {
  const topology = { shards: [{ id, host: "a", port: 1, slots, floor }] };
  return storedRecords(
    new Map<string, unknown>([
      [recordKey.topology("p"), topology],
      [recordKey.epoch("p"), { epoch: 7 }],
    ]),
  );
}

test("an epoch begins for a shard whose slots are the ones that it is read by", async () => {
  expect(await beginEpoch(recordsOf("s0", "0-99", 3), shard, 0)).toBe(8);
  expect(await beginEpoch(recordsOf("s0", "0-99", 3), shard, 20)).toBe(21);
});

// Mutation: epoch.ts, `beginEpoch` without its look at the slots, or at the floor: a copy by the former slots counts, and nobody repeats it.
test.each([
  ["has lost slots", recordsOf("s0", "0-98", 3)],
  ["has other slots, as many", recordsOf("s0", "1-100", 3)],
  ["was given a floor by what happened to its slots", recordsOf("s0", "0-99", 5)],
  ["is gone", recordsOf("s1", "0-99", 3)],
  ["has no topology any more", storedRecords()],
])("converges: no epoch begins for a shard that %s since its intake was made", async (_, records) => {
  await expect(beginEpoch(records, shard, 0)).rejects.toMatchObject({ code: "SRC-003", endpoint: "source s0" });
});

// Mutation: epoch.ts, the last refusal taken for a success: two shards copy under the same epoch.
test("a counter that others change each time is given up for now", async () => {
  const records = storedRecords();
  const tried = vi.spyOn(records, "compareAndSet").mockResolvedValue(null);
  await expect(nextEpoch(records, "p", 0)).rejects.toMatchObject({ code: "BUS-001" });
  expect(tried).toHaveBeenCalledTimes(10);
});
