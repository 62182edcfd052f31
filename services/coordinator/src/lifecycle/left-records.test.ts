import { ManualClock } from "@sluice/runtime";
import { recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { SampleRecords, sampleDesk } from "../desk/records.sample.ts";
import { LeftRecords } from "./left-records.ts";
import { PipelineBook } from "./pipeline-book.ts";

const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
const state = { state: "stopped", since: 1, reason: "" };

function bookOf(records: SampleRecords): PipelineBook {
  const book = new PipelineBook();
  for (const [key, stored] of records.stored) book.take({ key, ...stored });
  return book;
}

// Mutation: pipeline-book.ts, `left` without the look at the spec.
test("what is left is what has records and no pipeline", () => {
  const records = new SampleRecords();
  records.write(recordKey.spec("p"), { pipeline, desired: "stopped", createdAt: 1 });
  records.write(recordKey.state("p"), state);
  records.write(recordKey.state("gone"), state);
  const book = bookOf(records);
  expect(book.left).toEqual(["gone"]);
  book.take({ key: recordKey.state("gone"), value: null, revision: 9 });
  expect(book.left).toEqual([]);
});

// Mutations: left-records.ts, no sleep first: it meets a deletion that is under way; one pass only: the last word stays.
test("it is removed, stream and all, when a deletion that is under way would have ended; also a last word behind that", async () => {
  const records = new SampleRecords();
  const clock = new ManualClock();
  const removed: string[] = [];
  const deps = { ...sampleDesk(records, removed, new Set(["p"])), clock };
  records.write(recordKey.state("p"), state);
  const ending = new AbortController();
  const ended = new LeftRecords("p", deps).run(ending.signal, () => undefined);
  await clock.advance(2_000);
  expect([removed, records.stored.size]).toEqual([[], 1]);
  await clock.advance(2_000);
  expect([removed, records.stored.size]).toEqual([["p"], 0]);
  records.write(recordKey.lane("p", "main.s0.0"), {});
  await clock.advance(31_000);
  expect(records.stored.size).toBe(0);
  ending.abort();
  await ended;
});

// Mutation: desk/clear-left.ts, no look at the spec.
test("a pipeline that was created anew meanwhile is left alone", async () => {
  const records = new SampleRecords();
  const clock = new ManualClock();
  const removed: string[] = [];
  const deps = { ...sampleDesk(records, removed, new Set(["p"])), clock };
  records.write(recordKey.state("p"), state);
  const ending = new AbortController();
  const ended = new LeftRecords("p", deps).run(ending.signal, () => undefined);
  records.write(recordKey.spec("p"), { pipeline, desired: "created", createdAt: 1 });
  await clock.advance(4_000);
  expect([removed, records.stored.size]).toEqual([[], 2]);
  ending.abort();
  await ended;
});
