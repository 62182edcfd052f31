import { Retryable } from "@sluice/runtime";
import { precheckRecord, recordKey, type SpecRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { SampleRecords, sampleDesk } from "../desk/records.sample.ts";
import { observeState } from "./state.ts";
import { factsOf } from "./facts-of.ts";
import { PipelineBook } from "./pipeline-book.ts";
import { Prechecking } from "./prechecking.ts";

const pipeline = { name: "p", source: { url: "redis://127.0.0.1:1" }, destinations: [{ url: "redis://127.0.0.1:1" }] };

/** A pipeline whose prechecks are due, and what takes it through them. */
function due() {
  const records = new SampleRecords();
  const key = recordKey.spec("p");
  const revision = records.write(key, { pipeline, desired: "checking", createdAt: 1, isNew: true });
  const book = new PipelineBook();
  book.take({ key, value: records.spec, revision });
  const known = book.get("p")!;
  const checking = new Prechecking(known, { ...sampleDesk(records), stream: {} as never });
  const step = async (): Promise<void> => {
    await checking.step(known.spec as { value: SpecRecord; revision: number });
    await checking.stop();
  };
  return { records, book, step, revision };
}

// Mutation: prechecking.ts, what is thrown is tried again for ever: the state says that prechecks run, and never why they don't.
test("prechecks that can't be made forbid the start after a few tries, and the state says why", async () => {
  const { records, book, step, revision } = due();
  records.keys = async () => Promise.reject(new Error("something odd"));
  await step();
  expect(records.stored.has(recordKey.precheck("p"))).toBe(false);
  for (let tries = 0; tries < 2; tries++) await step();
  const report = precheckRecord.parse(records.stored.get(recordKey.precheck("p"))!.value);
  expect(report).toMatchObject({ spec: revision, report: { verdict: "fail", results: [{ code: "SLU-001" }] } });
  const key = recordKey.precheck("p");
  book.take({ key, ...records.stored.get(key)! });
  const facts = factsOf(book.get("p")!, new Map());
  const { state, reason } = observeState({ ...facts, stop: null, previous: "prechecking", fullStream: null });
  expect([state, reason]).toEqual(["blocked", expect.stringContaining("something odd")]);
});

test("a record of theirs that can't be read is made anew", async () => {
  const { records, step, revision } = due();
  records.write(recordKey.precheck("p"), "garbage");
  for (let tries = 0; tries < 3; tries++) await step();
  expect(records.stored.get(recordKey.precheck("p"))?.value).toMatchObject({ spec: revision, report: { verdict: "fail" } });
});

test("while the bus is away nothing is said of them", async () => {
  const { records, step } = due();
  records.keys = async () => Promise.reject(new Retryable("BUS-001", "bus", "away"));
  for (let tries = 0; tries < 4; tries++) {
    await step();
    await expect(step()).rejects.toThrow("away");
  }
  expect(records.stored.has(recordKey.precheck("p"))).toBe(false);
});
