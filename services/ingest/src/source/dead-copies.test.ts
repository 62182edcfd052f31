import { ManualClock } from "@sluice/runtime";
import { expect, test } from "vitest";
import { ShardReport } from "../shard-report.ts";
import { removeDeadCopies, withoutDeadCopies } from "./dead-copies.ts";
import { groupCopyOf, placeOf, recordedShard, reportWith, storedRecords, StoredSubjects } from "./stored-subjects.sample.ts";

const signal = new AbortController().signal;

/** Copies of s0, which has lanes 0 and 1 of four and had lane 3 before: of each kind one. */
async function world() {
  const stored = new StoredSubjects();
  const records = storedRecords();
  for (const copy of [2, 3, 4, 5, 6]) for (const lane of [0, 1, 3]) stored.putCopy(copy, lane, 5, lane !== 1 || copy !== 4);
  const report = await reportWith(records, [
    groupCopyOf(2, "void"),
    groupCopyOf(3, "stored", 4),
    groupCopyOf(4, "copying"),
    groupCopyOf(5, "copying"),
    groupCopyOf(6, "stored"),
  ]);
  return { stored, records, options: { ...placeOf(stored, new ManualClock()), report, epoch: 5 } };
}

// Mutations: dead-copies.ts, `isDeadCopy` without its first line, or without its second; void-copies.ts, `removeNumberedCopy` over fewer lanes.
test("what is void, of another epoch, or broke off goes whole, in lanes that the shard had once, too; what can be used stays", async () => {
  const { stored, records, options } = await world();
  await removeDeadCopies(options, signal);
  const none = [0, 0, 0, 0];
  const whole = [2, 2, 0, 2];
  expect(stored.copies(2, 3, 4, 5, 6)).toEqual([none, none, none, whole, whole]);
  expect((await recordedShard(records)).copies?.map(({ copy, phase }) => [copy, phase])).toEqual([
    [2, "void"],
    [3, "void"],
    [4, "void"],
    [5, "copying"],
    [6, "stored"],
  ]);
});

// Mutation: dead-copies.ts, `isDeadCopy` without the floor.
test("at or below the shard's floor nothing can be used", async () => {
  const { stored, options } = await world();
  await removeDeadCopies({ ...options, floor: 5 }, signal);
  expect(stored.copies(2, 3, 4, 5, 6).flat()).toEqual(Array.from({ length: 20 }, () => 0));
});

// Mutation: dead-copies.ts, the removals before the record: what is left of copy 4 would be taken for whole once lane 1 had its end.
test("the record says void before anything is removed, and a term that is lost ends it", async () => {
  const { stored, records, options } = await world();
  const before = stored.copies(2, 3, 4, 5, 6);
  await ShardReport.takeTerm(records, "p", "s0", "another", 0, 0);
  await expect(removeDeadCopies(options, signal)).rejects.toMatchObject({ code: "BUS-002" });
  expect(stored.copies(2, 3, 4, 5, 6)).toEqual(before);
});

// Mutation: dead-copies.ts, the record written whatever has become of it: a copy that has just begun is void.
test("a copy that begins meanwhile is left alone", async () => {
  const { records, options } = await world();
  const begun = [groupCopyOf(7, "copying")];
  const removing = removeDeadCopies(options, signal);
  await options.report.update({ copies: begun }, 0);
  expect(await removing).toBe(false);
  expect((await recordedShard(records)).copies).toEqual(begun);
});

// Mutations: dead-copies.ts, the failure thrown on; `again` that tries nothing; `done` that ends nothing.
test("while nothing can be removed, work begins all the same, and it is tried again for as long as that waits", async () => {
  const { stored, options } = await world();
  const trim = stored.trim.bind(stored);
  let asked = 0;
  stored.trim = async (subject, below) => (++asked < 3 ? Promise.reject(new Error("no answer")) : trim(subject, below));
  let end = (): void => undefined;
  const worked = new Promise<void>((resolve) => (end = resolve));
  const working = withoutDeadCopies(options, async () => worked, signal);
  await options.clock.advance(4_000);
  expect(asked).toBe(1);
  await options.clock.advance(2_000);
  expect(asked).toBe(2);
  await options.clock.advance(5_000);
  expect(stored.copies(2, 3, 4).flat()).toEqual(Array.from({ length: 12 }, () => 0));
  end();
  await working;

  const other = await world();
  other.stored.trim = async () => Promise.reject(new Error("no answer"));
  await withoutDeadCopies(other.options, async () => Promise.resolve(), signal);
  expect(other.options.clock.sleeping).toBe(0);
});
