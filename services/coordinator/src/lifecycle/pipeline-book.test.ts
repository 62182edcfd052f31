import { ManualClock } from "@sluice/runtime";
import { expect, test } from "vitest";
import { PipelineBook } from "./pipeline-book.ts";

const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
const spec = { key: "pipeline.p.spec", value: { pipeline, desired: "stopped", createdAt: 1 } };
const lane = {
  key: "pipeline.p.lane.main.s0.0",
  value: {
    instance: "w",
    epoch: 1,
    copy: 0,
    phase: "live",
    offset: 1,
    sequence: 1,
    keys: 0,
    units: 0,
    bytes: 0,
    transactions: 0,
    stale: 0,
    retry: null,
    halt: null,
    at: 1,
  },
};
const router = { key: "pipeline.p.router.source", value: { spec: 1, retry: null, halt: null, at: 1 } };

// Mutation: pipeline-book.ts, nothing remembered of removals.
test("what was read before it was removed does not come back; what is written later is there", () => {
  const book = new PipelineBook();
  for (const { key, value } of [spec, router]) {
    book.take({ key, value, revision: 5 });
    book.take({ key, value: null, revision: 9 });
    book.take({ key, value, revision: 5 });
  }
  expect(book.get("p")).toBeNull();
  book.take({ ...spec, revision: 12 });
  expect(book.get("p")?.watches.size).toBe(0);
  book.take({ ...router, revision: 13 });
  expect(book.get("p")?.watches.size).toBe(1);
});

test("a removal that is told late removes nothing that was written since", () => {
  const book = new PipelineBook();
  book.take({ ...spec, revision: 12 });
  book.take({ ...spec, value: null, revision: 9 });
  expect(book.get("p")?.spec?.revision).toBe(12);
  book.take({ ...spec, value: { ...spec.value, desired: "running" }, revision: 13 });
  expect(book.get("p")?.spec?.value.desired).toBe("running");
});

// Mutation: pipeline-book.ts, `heardAtMs` at each telling: a watch that begins anew makes old reports young.
test("a lane is heard when it says something new, not when the same is told again", async () => {
  const clock = new ManualClock();
  const book = new PipelineBook(clock);
  const beganAtMs = clock.monotonicMs();
  book.take({ ...spec, revision: 1 });
  book.take({ ...lane, revision: 2 });
  await clock.advance(500);
  book.take({ ...lane, revision: 2 });
  expect(book.get("p")?.lanes.get("main.s0.0")?.heardAtMs).toBe(beganAtMs);
  book.take({ ...lane, revision: 3 });
  expect(book.get("p")?.lanes.get("main.s0.0")?.heardAtMs).toBe(beganAtMs + 500);
  book.take({ ...lane, value: null, revision: 4 });
  expect(book.get("p")?.lanes.size).toBe(0);
});
