import { expect, test } from "vitest";
import type { PipelineStatus } from "@sluice/wire";
import { sampleLane, samplePipeline } from "../view/pipeline-status.sample.ts";
import { ApiClient } from "./api-client.ts";
import { startSampleApi } from "./api-server.sample.ts";
import { waitFor, type WaitGoal } from "./wait-for.ts";

/** Waits on an API that shows these statuses one after the other, the last one for ever. */
async function waitThrough(statuses: readonly PipelineStatus[], goal: WaitGoal, timeoutMs = 30_000): Promise<number> {
  let shown = 0;
  await using server = await startSampleApi(() => [200, statuses[Math.min(shown++, statuses.length - 1)]]);
  await waitFor(new ApiClient(server.address), "orders", { goal, timeoutMs });
  return shown;
}

test("synchronizing", async () => {
  expect(await waitThrough([samplePipeline({ state: "copying" }), samplePipeline()], "synchronizing")).toBe(2);
});

test("drained needs a sample that was taken since", async () => {
  const lanes = [sampleLane({ appliedOffset: 5_200 })];
  const drained = [1, 2, 3].map((sampledAt) => samplePipeline({ sampledAt, lanes }));
  expect(await waitThrough(drained, "drained")).toBe(3);
});

test("a failed pipeline is not waited for", async () => {
  const halt = { code: "SRC-006", message: "FOO is unknown", remedy: "See the notes.", at: 1 };
  const failed = samplePipeline({ state: "failed", lanes: [sampleLane({ halt })] });
  await expect(waitThrough([failed], "drained")).rejects.toMatchObject({
    message: "orders failed: SRC-006 in lane main.s0.0: FOO is unknown",
    remedy: "See the notes.",
  });
});

test("the end of the time says what it was waiting in", async () => {
  const stuck = samplePipeline({ state: "copying", reason: "the source loads" });
  await expect(waitThrough([stuck], "synchronizing", 0)).rejects.toThrow(
    "orders is not synchronizing after 0 s: it is copying (the source loads)",
  );
});
