import { lastStart, recordKey, writtenSpec } from "@sluice/wire";
import { beforeEach, expect, test } from "vitest";
import { editPipeline } from "../desk/edit-pipeline.ts";
import { SampleRecords, sampleDesk } from "../desk/records.sample.ts";
import { startPipeline } from "../desk/start-pipeline.ts";
import { pausePipeline } from "../desk/stop-pipeline.ts";
import { setDesired } from "../settle/desired.ts";

const body = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
let records: SampleRecords;
beforeEach(() => {
  records = new SampleRecords();
  // As it was written before starts were counted.
  records.write(recordKey.spec("p"), { pipeline: body, desired: "running", createdAt: 1 });
});

const start = (): number => {
  const { value, revision } = records.stored.get(recordKey.spec("p"))!;
  return lastStart({ value: writtenSpec.parse(value), revision });
};
const revision = (): number => records.stored.get(recordKey.spec("p"))!.revision;

// Mutation: spec-change.ts, what `change` answers written as it is.
test("edits, pauses and cut-overs keep the start that the pipeline is in; a start of the operator is another", async () => {
  const deps = sampleDesk(records);
  const first = revision();
  expect(start()).toBe(first);
  await editPipeline("p", { limits: { concurrentFullSyncs: 3 } }, { dryRun: false, isPatch: true }, deps);
  await setDesired(deps.records, "p", "stopped", async () => Promise.resolve(true));
  await setDesired(deps.records, "p", "running", async () => Promise.resolve(true));
  await pausePipeline("p", deps);
  expect(revision()).toBeGreaterThan(first);
  expect(start()).toBe(first);
  await startPipeline("p", deps);
  const second = revision();
  expect(start()).toBe(second);
  await editPipeline("p", { limits: { concurrentFullSyncs: 4 } }, { dryRun: false, isPatch: true }, deps);
  await pausePipeline("p", deps);
  expect(start()).toBe(second);
  await startPipeline("p", deps);
  expect(start()).toBe(revision());
});
