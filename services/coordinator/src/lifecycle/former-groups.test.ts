import { silentLog } from "@sluice/runtime";
import { recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { SampleRecords } from "../desk/records.sample.ts";
import { formerGroupRecords, removeFormerGroups } from "./former-groups.ts";
import { laneOf, PipelineBook } from "./pipeline-book.ts";

const lane = {
  instance: "w",
  epoch: 1,
  copy: 1,
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
};
const destination = { mode: "standalone", nodes: [{ host: "a", port: 1, slots: "0-16383" }], at: 1 };

function bookOf(groups: readonly string[], lanes: Readonly<Record<string, string>>, additions: object = {}) {
  const book = new PipelineBook();
  let revision = 0;
  const put = (key: string, value: unknown): void => book.take({ key, value, revision: ++revision });
  const destinations = groups.map((group) => ({ group, url: `redis://${group}:1` }));
  const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations };
  put(recordKey.spec("p"), { pipeline, desired: "running", createdAt: 1, additions });
  put(recordKey.assignment("p"), { shards: {}, lanes });
  for (const group of ["main", "more"]) {
    put(recordKey.lane("p", `${group}.s0.0`), lane);
    put(recordKey.destination("p", group), destination);
    put(recordKey.router("p", `destination.${group}`), { spec: 1, retry: null, halt: null, at: 1 });
  }
  put(recordKey.router("p", "source"), { spec: 1, retry: null, halt: null, at: 1 });
  const known = book.get("p");
  if (known === null) throw new Error("no pipeline");
  return known;
}

// Mutation: former-groups.ts, the assignment not looked at: a writer that still runs writes its record again behind the removal.
test("what is left of a group that was taken away, once nobody runs it any more", () => {
  const left = (groups: readonly string[], lanes: Readonly<Record<string, string>>): string[] =>
    formerGroupRecords(bookOf(groups, lanes)).map(({ key }) => key);
  expect(left(["main", "more"], {})).toEqual([]);
  expect(left(["main"], { "more.s0.0": "writer-1" })).toEqual([]);
  expect(left(["main"], { "main.s0.0": "writer-1" })).toEqual([
    recordKey.lane("p", "more.s0.0"),
    recordKey.destination("p", "more"),
    recordKey.router("p", "destination.more"),
  ]);
});

// Mutation: pipeline-book.ts, `laneOf` that does not compare additions: a group that comes again counts as applied up to where it once was.
test("what a lane said in an earlier time of its group says nothing of this one", () => {
  const known = bookOf(["main", "more"], {}, { more: { number: 2, above: 0 } });
  expect(laneOf(known, "more.s0.0")).toBeUndefined();
  expect(laneOf(known, "main.s0.0")?.value.offset).toBe(1);
});

const kept = { slots: "0-16383", at: 1 };

/** Records that know of group `more`, which was taken away, and the book of them. */
function afterMoreHasGone() {
  const records = new SampleRecords();
  const book = new PipelineBook();
  const put = (key: string, value: unknown): void => book.take({ key, value, revision: records.write(key, value) });
  records.write(recordKey.kept("p", "more"), kept);
  records.write(recordKey.kept("p", "main"), kept);
  for (const group of ["main", "more"]) put(recordKey.destination("p", group), destination);
  put(recordKey.lane("p", "more.s0.0"), lane);
  const destinations = [{ group: "main", url: "redis://main:1" }];
  put(recordKey.spec("p"), {
    pipeline: { name: "p", source: { url: "redis://a:1" }, destinations },
    desired: "running",
    createdAt: 1,
  });
  const remove = async () => removeFormerGroups(book.get("p")!, { records, log: silentLog() });
  return { records, book, put, remove };
}

test("the names that a group kept go with its other records, also what its writers said last", async () => {
  const { records, put, remove } = afterMoreHasGone();
  records.write(recordKey.kept("p", "more"), kept);
  put(recordKey.assignment("p"), { shards: {}, lanes: {} });
  await remove();
  expect([...records.stored.keys()].toSorted()).toEqual(
    [
      recordKey.assignment("p"),
      recordKey.destination("p", "main"),
      recordKey.kept("p", "main"),
      recordKey.spec("p"),
    ].toSorted(),
  );
});

// Mutation: former-groups.ts, `.kept` removed whatever its revision, or with that of a later look and no look at when the group went.
test("what the writers of a group that has come again noted meanwhile is left alone", async () => {
  const { records, remove } = afterMoreHasGone();
  const get = records.get.bind(records);
  const comeAgain = (): void => void records.write(recordKey.kept("p", "more"), kept);
  records.get = async (key, schema) => {
    const found = await get(key, schema);
    comeAgain();
    return found;
  };
  await remove();
  expect(records.stored.has(recordKey.kept("p", "more")), "behind the look").toBe(true);
  const early = afterMoreHasGone();
  early.records.write(recordKey.kept("p", "more"), kept);
  await early.remove();
  expect(early.records.stored.has(recordKey.kept("p", "more")), "before the look").toBe(true);
});

// Mutation: former-groups.ts, the groups taken from the book behind the first wait.
test("the book may say something else as soon as something was waited for", async () => {
  const { records, put, remove } = afterMoreHasGone();
  const removeIf = records.removeIf.bind(records);
  records.removeIf = async (key, revision) => {
    put(recordKey.destination("p", "third"), destination);
    records.write(recordKey.kept("p", "third"), kept);
    return removeIf(key, revision);
  };
  await remove();
  expect(records.stored.has(recordKey.kept("p", "third"))).toBe(true);
  expect(records.stored.has(recordKey.kept("p", "more"))).toBe(false);
});
