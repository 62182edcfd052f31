import { ManualClock } from "@sluice/runtime";
import { recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { clearLeft } from "../desk/clear-left.ts";
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

/** What is left of `p`, with its stream; `met` is called when whoever clears it has asked so many things of the stream. */
function leftOf(met: (asked: number, now: (identity: string | null) => void) => void) {
  const records = new SampleRecords();
  const removed: (string | null)[] = [];
  let identity: string | null = "first";
  let asked = 0;
  const streamOf = () =>
    ({
      identity: async () => {
        const answer = identity;
        met(++asked, (next) => (identity = next));
        return Promise.resolve(answer);
      },
      remove: async () => {
        removed.push(identity);
        identity = null;
        return Promise.resolve();
      },
    }) as never;
  records.write(recordKey.state("p"), state);
  return { records, removed, deps: { ...sampleDesk(records), streamOf } };
}

// Mutation: desk/clear-left.ts, no second look at the spec, or none at the stream.
test("the stream of a pipeline that came while whoever clears slept is left alone", async () => {
  const created = leftOf((asked) => {
    if (asked === 2) created.records.write(recordKey.spec("p"), { pipeline, desired: "running", createdAt: 1 });
  });
  expect(await clearLeft("p", created.deps)).toBe("taken");
  expect([created.removed, created.records.stored.size]).toEqual([[], 2]);
  const another = leftOf((asked, now) => {
    if (asked === 1) now("second");
  });
  expect(await clearLeft("p", another.deps)).toBe("cleared");
  expect(another.removed, "removed by a pass that knew it").toEqual(["second"]);
});

// Mutation: desk/clear-left.ts, the signal not asked before the removal; left-records.ts, it is not passed on.
test("whoever has lost the lease meanwhile removes nothing", async () => {
  const ending = new AbortController();
  const { records, removed, deps } = leftOf((asked) => {
    if (asked === 2) ending.abort();
  });
  expect(await clearLeft("p", deps, ending.signal)).toBe("nothing");
  expect([removed, records.stored.size]).toEqual([[], 1]);
  const clock = new ManualClock();
  const ended = new AbortController();
  const late = leftOf((asked) => {
    if (asked === 2) ended.abort();
  });
  const run = new LeftRecords("p", { ...late.deps, clock }).run(ended.signal, () => undefined);
  await clock.advance(4_000);
  await run;
  expect([late.removed, late.records.stored.size]).toEqual([[], 1]);
});
