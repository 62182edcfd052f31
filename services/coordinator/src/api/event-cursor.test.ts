import type { ApiEvent, PipelineEvent } from "@sluice/wire";
import { expect, test } from "vitest";
import { PipelineBook, type KnownPipeline } from "../lifecycle/pipeline-book.ts";
import { cursorId, openCursor } from "./event-cursor.ts";

const event = (id: number, at = id * 1_000): PipelineEvent => ({ id, at, kind: "state", text: `event ${id}` });

function pipeline(name: string, events: readonly PipelineEvent[] | null): KnownPipeline {
  const book = new PipelineBook();
  const file = { name, source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
  book.take({ key: `pipeline.${name}.spec`, value: { pipeline: file, desired: "running", createdAt: 1 }, revision: 1 });
  if (events !== null) book.take({ key: `pipeline.${name}.events`, value: { events, topology: null }, revision: 2 });
  return book.get(name)!;
}

const ids = (events: readonly ApiEvent[]) => events.map(({ pipeline: name, id }) => `${name}${id}`);

test("of one pipeline every event comes once, behind the one that was named", () => {
  const cursor = openCursor(false, "2");
  expect(
    ids(
      cursor.take([
        pipeline(
          "p",
          [1, 2, 3].map((id) => event(id)),
        ),
      ]),
    ),
  ).toEqual(["p3"]);
  expect(
    ids(
      cursor.take([
        pipeline(
          "p",
          [1, 2, 3].map((id) => event(id)),
        ),
      ]),
    ),
  ).toEqual([]);
  expect(
    ids(
      cursor.take([
        pipeline(
          "p",
          [3, 4, 5].map((id) => event(id)),
        ),
      ]),
    ),
  ).toEqual(["p4", "p5"]);
});

test("without a name, or with one that can't be, all that is kept comes", () => {
  for (const after of [undefined, "", "x", "-1", "1.p.1"]) {
    expect(ids(openCursor(false, after).take([pipeline("p", [event(7), event(8)])]))).toEqual(["p7", "p8"]);
  }
});

test("a pipeline that was deleted and created again tells all of its new events", () => {
  expect(ids(openCursor(false, "90").take([pipeline("p", [event(1), event(2)])]))).toEqual(["p1", "p2"]);
  const cursor = openCursor(false, undefined);
  cursor.take([pipeline("p", [event(5), event(6)])]);
  expect(ids(cursor.take([pipeline("p", [event(1)])]))).toEqual(["p1"]);
});

test("what the coordinator has not been told of yet comes behind the id that was named, too", () => {
  const cursor = openCursor(false, "2");
  expect(cursor.take([pipeline("p", null)])).toEqual([]);
  expect(ids(cursor.take([pipeline("p", [event(2), event(3)])]))).toEqual(["p3"]);
});

test("of all pipelines events come by time; those of others that are hardly older than the named one come again", () => {
  const p = pipeline("p", [event(1, 100_000), event(2, 300_000)]);
  const q = pipeline("q", [event(1, 30_000), event(2, 50_000), event(3, 200_000)]);
  expect(ids(openCursor(true, undefined).take([p, q]))).toEqual(["q1", "q2", "p1", "q3", "p2"]);
  const after = cursorId({ ...event(1, 100_000), pipeline: "p" }, true);
  expect(after).toBe("100000.p.1");
  expect(ids(openCursor(true, after).take([p, q]))).toEqual(["q2", "q3", "p2"]);
});
