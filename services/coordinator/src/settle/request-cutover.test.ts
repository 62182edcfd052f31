import type { CutoverRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { requested } from "./request-cutover.ts";

const halt = { code: "DST-013", message: "moved", remedy: "", at: 1 };
const group = {
  isRemarked: true,
  slots: "0-16383",
  isDone: false,
  looked: 1,
  expected: 2,
  settled: 1,
  retry: null,
  halt: null,
};
const record: CutoverRecord = { phase: "draining", isForced: false, reason: "r", since: 1, drainedAt: {}, groups: {} };
const request = { name: "p", isForced: false, state: "synchronizing" as const, nowMs: 9 };
const forced = { ...request, isForced: true };

test("a running pipeline is drained first, and one that was taken back begins anew", () => {
  expect(requested(null, request)).toMatchObject({ phase: "draining", isForced: false, since: 9 });
  expect(requested({ ...record, phase: "cancelled" }, request)).toMatchObject({ phase: "draining", since: 9 });
});

test.each(["stopped", "failed", "cut-over", "cutting-over"] as const)("a pipeline that is %s takes force", (state) => {
  expect(() => requested(null, { ...request, state })).toThrow(expect.objectContaining({ code: "PIP-010", status: 409 }));
  expect(requested(null, { ...forced, state })).toMatchObject({ phase: "stopping", isForced: true });
});

test("asked again it changes nothing, but for more force", () => {
  for (const phase of ["draining", "stopping", "settling", "done"] as const)
    expect(requested({ ...record, phase }, request)).toBeNull();
  expect(requested({ ...record, phase: "draining" }, forced)).toMatchObject({ phase: "stopping", isForced: true });
  expect(requested({ ...record, phase: "stopping" }, forced)).toMatchObject({ phase: "stopping", isForced: true });
  for (const phase of ["settling", "done"] as const) expect(requested({ ...record, phase }, forced)).toBeNull();
});

test("a destination that halted begins again; only by force where slots have moved", () => {
  const halted: CutoverRecord = { ...record, phase: "settling", groups: { main: { ...group, halt }, copy: group } };
  expect(requested(halted, request)).toEqual({ ...halted, since: 9, groups: { main: group, copy: group } });
  expect(requested(halted, forced)?.groups).toEqual({ main: { ...group, slots: null }, copy: group });
});

// Mutation: request-cutover.ts, `isWithoutNames` with any halt: a cut-over that is forced where slots moved guesses which expiries are whose.
test("lost names of kept keys are passed over only by force, and only where they were told of", () => {
  const lost: CutoverRecord = {
    ...record,
    phase: "settling",
    groups: { main: { ...group, halt: { ...halt, code: "DST-025" } }, copy: { ...group, halt } },
  };
  expect(requested(lost, request)?.groups).toEqual({ main: group, copy: group });
  const next = requested(lost, forced)?.groups;
  expect(next).toEqual({ main: { ...group, slots: null, isWithoutNames: true }, copy: { ...group, slots: null } });
});
