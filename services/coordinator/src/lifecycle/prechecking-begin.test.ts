import { recordKey, type SpecRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { SampleRecords, sampleDesk } from "../desk/records.sample.ts";
import { PipelineBook } from "./pipeline-book.ts";
import { Prechecking } from "./prechecking.ts";

const pipeline = { name: "p", source: { url: "redis://127.0.0.1:1" }, destinations: [{ url: "redis://127.0.0.1:1" }] };

/** A pipeline whose prechecks have passed, and what makes it run. */
function passed() {
  const records = new SampleRecords();
  let hasStream = false;
  const stream = {
    ensure: async () => Promise.resolve(void (hasStream = true)),
    limit: async () => Promise.resolve(null),
    identity: async () => Promise.resolve(hasStream ? "first" : null),
    size: async () => Promise.resolve(hasStream ? { messages: 0, bytes: 0, limitBytes: null } : null),
    remove: async () => Promise.resolve(void (hasStream = false)),
  };
  const revision = records.write(recordKey.spec("p"), { pipeline, desired: "checking", createdAt: 1, isNew: true });
  const report = { at: 1, results: [], verdict: "pass" };
  records.write(recordKey.precheck("p"), { spec: revision, report, ignore: [], highestEpoch: 4 });
  const book = new PipelineBook();
  for (const [key, stored] of records.stored) book.take({ key, ...stored });
  const known = book.get("p")!;
  const checking = new Prechecking(known, { ...sampleDesk(records), stream: stream as never });
  const step = async (): Promise<void> => checking.step(known.spec as { value: SpecRecord; revision: number });
  return { records, step, hasStream: () => hasStream };
}

test("what has passed runs, with its stream and above every epoch that was seen", async () => {
  const { records, step, hasStream } = passed();
  await step();
  expect(records.spec).toMatchObject({ desired: "running" });
  expect(hasStream()).toBe(true);
  expect(records.stored.get(recordKey.epoch("p"))?.value).toEqual({ epoch: 4 });
});

// Mutation: prechecking.ts, nothing done when the last write is refused.
test("what was deleted in this moment leaves nothing", async () => {
  const { records, step, hasStream } = passed();
  records.meddle = (key) => {
    if (key === recordKey.spec("p")) records.stored.clear();
    if (key === recordKey.spec("p")) records.write(recordKey.epoch("p"), { epoch: 4 });
  };
  await step();
  expect([...records.stored.keys()]).toEqual([]);
  expect(hasStream()).toBe(false);
});

test("what was edited in this moment keeps its stream", async () => {
  const { records, step, hasStream } = passed();
  records.meddle = (key) => {
    if (key === recordKey.spec("p")) records.write(key, records.stored.get(key)!.value);
  };
  await step();
  expect(records.spec.desired).toBe("checking");
  expect(hasStream()).toBe(true);
});
