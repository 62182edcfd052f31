import { slotTag } from "@sluice/redis";
import { RedisServer } from "@sluice/testkit";
import { formatMark, laneMarkKey, recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { precheckPipeline } from "./precheck-pipeline.ts";
import { SampleRecords, sampleDesk } from "./records.sample.ts";

// Mutation: check-pipeline.ts, the check is left out for a pipeline that has run: an edited URL leads to a server whose keys are swept.
test("a pipeline that has run may not begin in a server that others fill; where its marks stand it may", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const records = new SampleRecords();
  const pipeline = { name: "p", source: { url: "redis://127.0.0.1:1" }, destinations: [{ url: server.url }] };
  records.write(recordKey.spec("p"), { pipeline, desired: "checking", createdAt: 1, isEdited: true });
  const levelNow = async (): Promise<unknown> => {
    const { results } = await precheckPipeline("p", { only: ["destination-empty"] }, sampleDesk(records));
    return results.find(({ id }) => id === "destination-empty")?.level;
  };
  expect(await levelNow()).toBe("pass");
  await client.set("a", "1");
  expect(await levelNow()).toBe("fail");
  const mark = formatMark({ epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 5, sequence: 6 });
  await client.set(laneMarkKey(slotTag(0), "p", "main", "s0", 0), mark);
  expect(await levelNow()).toBe("pass");
});
