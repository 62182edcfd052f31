import { expect, test } from "vitest";
import { factsOf } from "./facts-of.ts";
import { PipelineBook } from "./pipeline-book.ts";

const signs = { retry: null, at: 1, bytes: 0, epoch: 1, copy: 1, halt: { code: "DST-004", message: "m", remedy: "r", at: 1 } };
const lane = { ...signs, instance: "w", phase: "live", offset: 1, sequence: 1, keys: 0, units: 0, transactions: 0, stale: 0 };
const spec = { pipeline: { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] }, createdAt: 1 };

const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }];
const topology = { mode: "standalone", lanes: 1, shards, events: [] };

function bookWith(laneRevision: number, specRevision: number, startRevision?: number): PipelineBook {
  const book = new PipelineBook();
  book.take({ key: "pipeline.p.lane.main.s0.0", value: lane, revision: laneRevision });
  book.take({ key: "pipeline.p.topology", value: topology, revision: 2 });
  book.take({ key: "pipeline.p.spec", value: { ...spec, desired: "running", startRevision }, revision: specRevision });
  return book;
}

test("a halt behind the mark counts until the pipeline is started again, whatever else is written", () => {
  const haltOf = (book: PipelineBook) => factsOf(book.get("p")!, new Map()).lanes[0]?.seen?.halt?.code ?? null;
  expect(haltOf(bookWith(6, 5))).toBe("DST-004");
  expect(haltOf(bookWith(4, 5))).toBeNull();
  expect(haltOf(bookWith(4, 5, 3))).toBe("DST-004");
  expect(haltOf(bookWith(4, 9, 5))).toBeNull();
});

test("what the router says counts for the start that it speaks of, however late it was written", () => {
  const watchesOf = (start: number): unknown => {
    const book = bookWith(6, 5);
    const value = { spec: start, retry: null, halt: signs.halt, at: 1 };
    book.take({ key: "pipeline.p.router.destination.main", value, revision: 9 });
    return factsOf(book.get("p")!, new Map()).watches;
  };
  expect(watchesOf(5)).toEqual([{ retry: null, halt: signs.halt }]);
  expect(watchesOf(4)).toEqual([]);
});

test("a shard or lane without a record or an owner is there all the same", () => {
  const { shards, lanes } = factsOf(bookWith(6, 5).get("p")!, new Map());
  expect(shards).toEqual([{ id: "s0", owner: null, floor: 0, seen: null }]);
  expect(lanes.map(({ label, owner }) => [label, owner])).toEqual([["main.s0.0", null]]);
});

test("the book ignores what is older than what it knows, and what it can't read", () => {
  const book = bookWith(6, 5);
  book.take({ key: "pipeline.p.spec", value: { ...spec, desired: "stopped" }, revision: 4 });
  expect(() => book.take({ key: "pipeline.p.spec", value: { desired: "?" }, revision: 9 })).toThrow("desired");
  expect(book.get("p")?.spec).toMatchObject({ revision: 5, value: { desired: "running" } });
  book.take({ key: "pipeline.p.spec", value: null, revision: 10 });
  expect(book.get("p")).toBeNull();
  expect(book.all).toEqual([]);
});
