import type { Addition, GroupCopy } from "@sluice/wire";
import { expect, test } from "vitest";
import { planCopies } from "./copy-plan.ts";

const groups = (of: Readonly<Record<string, number>>, above = 0): Map<string, Addition> =>
  new Map(Object.entries(of).map(([group, number]) => [group, { number, above }]));

function copyOf(copy: number, served: Readonly<Record<string, number>>, fields: Partial<GroupCopy> = {}): GroupCopy {
  const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
  return { epoch: 3, copy, groups: served, phase: "stored", offset: 10, replid: "r", copied, retry: null, ...fields };
}

const shard = (copies: readonly GroupCopy[] = [], joined = 0) => ({
  epoch: 3,
  joined: { epoch: 3, number: joined },
  copies,
  lastCopy: 0,
});
const phases = (copies: readonly GroupCopy[]): string[] => copies.map(({ copy, phase }) => `${copy} ${phase}`);

// Mutation: copy-plan.ts, groups wanted one at a time: those that were added together get a link each.
test("groups that were added together share a copy, and those that an epoch's own copy serves get none", () => {
  expect(planCopies(shard(), groups({ b: 1, c: 2 }), {})).toEqual({ copies: [], wanted: { b: 1, c: 2 }, above: 1 });
  expect(planCopies(shard([], 1), groups({ b: 1, c: 2 }), {}).wanted).toEqual({ c: 2 });
  // The record speaks of another epoch, which broke off before it began: nothing of that counts.
  expect(planCopies({ ...shard([], 1), joined: { epoch: 4, number: 1 } }, groups({ b: 1 }), {}).wanted).toEqual({ b: 1 });
});

// Mutation: copy-plan.ts, a copy that is under way by the record left as it is: it broke off with its ingest, and its groups wait for ever.
test("a copy that broke off is void and made again, above its number; one of another epoch, too", () => {
  for (const one of [
    copyOf(2, { b: 1 }, { phase: "copying" }),
    copyOf(2, { b: 1 }, { epoch: 2 }),
    copyOf(2, { b: 1 }, { phase: "waiting" }),
  ]) {
    const { copies, wanted, above } = planCopies(shard([one]), groups({ b: 1 }), {});
    expect([phases(copies), wanted, above]).toEqual([["2 void"], { b: 1 }, 2]);
  }
});

test("a stored copy serves its groups, each until it is added anew or taken away", () => {
  const stored = copyOf(2, { b: 1, c: 2 });
  expect(planCopies(shard([stored]), groups({ b: 1, c: 2 }), {})).toMatchObject({ copies: [stored], wanted: {} });
  const again = planCopies(shard([stored]), groups({ b: 3, c: 2 }), {});
  expect([again.copies[0]?.groups, again.wanted]).toEqual([{ c: 2 }, { b: 3 }]);
  expect(phases(planCopies(shard([stored]), groups({}), {}).copies)).toEqual(["2 void"]);
});

// Mutation: copy-plan.ts, what writers refuse is not looked at: a lane that can't go on from its copy waits for ever.
test("a group whose writers can't use its copy gets another, and the others keep it", () => {
  const stored = copyOf(2, { b: 1, c: 2 });
  const refused = { b: { epoch: 3, copy: 2, why: "" } };
  const { copies, wanted, above } = planCopies(shard([stored]), groups({ b: 1, c: 2 }), refused);
  expect([copies[0]?.groups, wanted, above]).toEqual([{ c: 2 }, { b: 1 }, 2]);
  // What was refused in another epoch, or is older, is over.
  expect(planCopies(shard([stored]), groups({ b: 1, c: 2 }), { b: { epoch: 2, copy: 9, why: "" } }).wanted).toEqual({});
  expect(planCopies(shard([stored]), groups({ b: 1, c: 2 }), { b: { epoch: 3, copy: 1, why: "" } }).wanted).toEqual({});
  // The copy that the epoch began with may be refused as well.
  expect(planCopies(shard([], 1), groups({ b: 1 }), { b: { epoch: 3, copy: 1, why: "" } }).wanted).toEqual({ b: 1 });
});

test("no number is given twice, whatever is left of the records; marks that are there already count", () => {
  expect(planCopies({ ...shard(), lastCopy: 7 }, groups({ b: 1 }), {}).above).toBe(7);
  expect(planCopies(shard(), groups({ b: 1 }), { b: { epoch: 1, copy: 8, why: "" } }).above).toBe(8);
  expect(planCopies(shard(), groups({ b: 1 }, 9), {}).above).toBe(9);
});
