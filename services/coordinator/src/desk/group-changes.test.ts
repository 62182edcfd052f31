import {
  lastMade,
  MOST_FORMER_GROUPS,
  pipelineSchema,
  recordKey,
  withLastStart,
  withWorkKept,
  type WrittenSpec,
} from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { editPipeline } from "./edit-pipeline.ts";
import { formerPlace, groupChanges, sharedPlace, toldChanges, withAdditions, withCommonGroups } from "./group-changes.ts";
import { SampleRecords, sampleDesk } from "./records.sample.ts";

const main = { group: "main", url: "redis://b:1" };
const more = { group: "more", url: "redis://c:1" };
const written = (...destinations: readonly object[]): WrittenSpec["pipeline"] =>
  ({ name: "p", source: { url: "redis://a:1" }, destinations }) as WrittenSpec["pipeline"];
const read = (...destinations: readonly object[]) => pipelineSchema.parse(written(...destinations));
const spec = (more_: Partial<WrittenSpec> = {}): WrittenSpec => ({
  pipeline: written(main),
  desired: "running",
  createdAt: 1,
  ...more_,
});

describe("what an edit does to groups", () => {
  test("groups that come and go; what differs else is told by those that both have", () => {
    const changes = groupChanges(read(more), read(main));
    expect(changes).toEqual({ added: ["more"], removed: ["main"] });
    expect(groupChanges(read({ url: "redis://z:1" }), read(main))).toEqual({ added: [], removed: [] });
    // A group that is not named is main.
    expect(withCommonGroups(written({ url: "redis://b:1" }, more), { added: ["more"], removed: [] }).destinations).toEqual([
      { url: "redis://b:1" },
    ]);
  });

  // Mutation: group-changes.ts, numbers counted from the additions that are left: the group gets the number of its former time, and its old
  // lane record counts.
  test("every addition has a number of its own, also of a group that comes again", () => {
    const once = withAdditions(spec(), { added: ["more"], removed: [] }, new Map([["more", 4]]));
    expect([once.additions, once.lastAddition]).toEqual([{ more: { number: 1, above: 4 } }, 1]);
    const gone = withAdditions(once, { added: [], removed: ["more"] }, new Map());
    expect([gone.additions, gone.lastAddition]).toEqual([{}, 1]);
    const again = withAdditions(gone, { added: ["more", "third"], removed: [] }, new Map());
    expect(again.additions).toEqual({ more: { number: 2, above: 0 }, third: { number: 3, above: 0 } });
  });

  test("where two groups would write to one server is told", () => {
    const changes = { added: ["more"], removed: [] };
    expect(sharedPlace(read(main, more), changes)).toBeNull();
    expect(sharedPlace(read(main, { ...more, url: "redis://b:1" }), changes)).toBe("more and main");
  });

  // Mutation: group-changes.ts, `formerPlace` that asks the posted groups: a group is renamed where it is, and a writer of the old name applies
  // a unit behind the copy for the new one.
  test("a group where another one was until the edit is told, whether that one goes or moves", () => {
    const renamed = { ...main, group: "primary" };
    const change = (posted: ReturnType<typeof read>, existing: ReturnType<typeof read>) =>
      formerPlace(posted, existing, groupChanges(posted, existing));
    expect(change(read(renamed), read(main))).toBe("primary is where main was");
    expect(change(read({ ...main, url: "redis://z:1" }, renamed), read(main))).toBe("primary is where main was");
    expect(change(read(main, more), read(main))).toBeNull();
    expect(change(read(main, more), read(main, more))).toBeNull();
  });

  // Mutation: group-changes.ts, `formerGroups` not written: in the second edit nobody knows whose marks to look for.
  test("groups that were taken away are kept in mind, the latest of them", () => {
    const nothing = new Map<string, number>();
    expect(withAdditions(spec(), { added: ["more"], removed: [] }, nothing).formerGroups).toBeUndefined();
    const once = withAdditions(spec({ formerGroups: ["a", "b"] }), { added: [], removed: ["a"] }, nothing);
    expect(once.formerGroups).toEqual(["b", "a"]);
    const again = withAdditions(once, { added: ["a"], removed: [] }, nothing);
    expect(again.formerGroups).toEqual(["b", "a"]);
    const many = Array.from({ length: MOST_FORMER_GROUPS }, (_, index) => `g${index}`);
    const full = withAdditions(spec({ formerGroups: many }), { added: [], removed: ["z"] }, nothing);
    expect([full.formerGroups?.length, full.formerGroups?.at(-1)]).toEqual([MOST_FORMER_GROUPS, "z"]);
  });

  test("both are told in words, marks included", () => {
    const [added, removed] = toldChanges("p", { added: ["more"], removed: ["main"] });
    expect(added?.text).toMatch(/^group more is added: it is copied anew .* the other groups go on$/);
    expect(removed?.text).toContain("keys sluice:{…}:p:main…");
  });

  // Mutation: spec-record.ts, `withLastStart` that carries `madeRevision` on: behind an edit of everything nothing is made anew.
  test("an edit of groups alone leaves what was made; any other write of the spec makes everything anew", () => {
    const existing = { value: spec(), revision: 7 };
    const kept = withWorkKept(spec(), existing);
    expect(lastMade({ value: kept, revision: 8 })).toBe(7);
    expect(lastMade({ value: withWorkKept(kept, { value: kept, revision: 8 }), revision: 9 })).toBe(7);
    expect(lastMade({ value: withLastStart(kept, { value: kept, revision: 8 }), revision: 9 })).toBe(9);
  });
});

describe("editPipeline", () => {
  const put = { dryRun: false, isPatch: false };

  // Mutation: edit-pipeline.ts, `withLastStart` where groups alone differ: the others are begun anew; check-added.ts, the mode not looked at:
  // a group gets a copy where nothing is to be copied.
  test("a group is taken away while the others go on; none is added where nothing is copied, or where another one writes", async () => {
    const records = new SampleRecords();
    const deps = sampleDesk(records);
    const additions = { more: { number: 1, above: 0 } };
    const revision = records.write(recordKey.spec("p"), {
      ...spec(),
      pipeline: written(main, more),
      additions,
      lastAddition: 1,
    });
    const dry = await editPipeline("p", written(main), { ...put, dryRun: true }, deps);
    expect([dry.isChanged, dry.changed, dry.checkpoint]).toEqual([false, ["destinations[more]"], "kept"]);
    const edited = await editPipeline("p", written(main), put, deps);
    expect(edited).toMatchObject({ isChanged: true, desired: "running", groups: [{ group: "more", change: "removed" }] });
    expect(records.spec).toMatchObject({ desired: "running", additions: {}, lastAddition: 1, madeRevision: revision });
    expect(records.texts.join()).toContain("group more is taken away");
    const shared = written(main, { ...more, url: "redis://b:1" });
    await expect(editPipeline("p", shared, put, deps)).rejects.toMatchObject({ status: 409, code: "PIP-017" });
    const renamed = written({ ...main, group: "primary", existing: "overwrite" });
    records.write(recordKey.spec("p"), spec());
    await expect(editPipeline("p", renamed, put, deps)).rejects.toMatchObject({
      code: "PIP-017",
      message: expect.stringContaining("primary is where main was") as string,
    });
    const copyless = { mode: "changes", source: { url: "redis://a:1" }, name: "p" };
    const [one, two] = [main, more].map((destination) => ({ ...destination, existing: "overwrite" }));
    records.write(recordKey.spec("p"), { ...spec(), pipeline: { ...copyless, destinations: [one] } });
    await expect(editPipeline("p", { ...copyless, destinations: [one, two] }, put, deps)).rejects.toMatchObject({
      code: "PIP-017",
      message: expect.stringContaining("nothing is copied") as string,
    });
  });

  test("the last group stays; groups of one that never ran are as its file says", async () => {
    const records = new SampleRecords();
    const deps = sampleDesk(records);
    records.write(recordKey.spec("p"), spec());
    await expect(editPipeline("p", written(), put, deps)).rejects.toMatchObject({ status: 422, code: "PIP-001" });
    records.write(recordKey.spec("p"), spec({ isNew: true, desired: "created" }));
    expect((await editPipeline("p", written(main, more), put, deps)).groups).toEqual([]);
    expect(records.spec.additions).toBeUndefined();
  });
});
