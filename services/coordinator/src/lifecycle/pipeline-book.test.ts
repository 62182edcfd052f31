import { expect, test } from "vitest";
import { PipelineBook } from "./pipeline-book.ts";

const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
const spec = { key: "pipeline.p.spec", value: { pipeline, desired: "stopped", createdAt: 1 } };
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
