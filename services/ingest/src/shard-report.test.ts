import { expect, test, vi } from "vitest";
import { ShardReport } from "./shard-report.ts";
import { storedRecords } from "./source/stored-subjects.sample.ts";

// Mutation: shard-report.ts, the last refusal taken for a success: two intakes publish under the same term.
test("one-writer-per-lane: a term that others take each time is given up for now", async () => {
  const records = storedRecords();
  const tried = vi.spyOn(records, "compareAndSet").mockResolvedValue(null);
  await expect(ShardReport.takeTerm(records, "p", "s0", "i", 0, 1)).rejects.toMatchObject({ code: "BUS-001" });
  expect(tried).toHaveBeenCalledTimes(10);
});
