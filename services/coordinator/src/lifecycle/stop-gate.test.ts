import { describe, expect, test } from "vitest";
import { STOP_LIMIT_MS, stopGate, type StoppingFacts, type StoppingLane } from "./stop-gate.ts";

const lane: StoppingLane = {
  label: "main.s0.0",
  isHalted: false,
  isCopyCut: false,
  isLive: true,
  offset: 100,
  storedOffset: 100,
  tailOffset: 100,
};
const facts: StoppingFacts = {
  sinceMs: 2_000,
  limitMs: STOP_LIMIT_MS,
  areShardsAssigned: false,
  quietMs: 1_500,
  lanes: [lane],
  isPatient: false,
};
const isDone = (change: Partial<StoppingFacts>): boolean => stopGate({ ...facts, ...change }).isDone;

describe("stopGate", () => {
  test("is done when ingest is gone and quiet and every lane has applied what is stored", () => {
    expect(isDone({})).toBe(true);
    expect(isDone({ areShardsAssigned: true })).toBe(false);
    expect(isDone({ quietMs: 1_499 })).toBe(false);
    expect(isDone({ lanes: [lane, { ...lane, offset: 99 }] })).toBe(false);
    expect(isDone({ lanes: [{ ...lane, isLive: false }] })).toBe(false);
  });

  test("a lane that is where the subject's last message ends has applied everything, whatever ingest framed behind it", () => {
    expect(isDone({ lanes: [{ ...lane, offset: 86, tailOffset: 86 }] })).toBe(true);
    expect(isDone({ lanes: [{ ...lane, offset: 85, tailOffset: 86 }] })).toBe(false);
    expect(isDone({ lanes: [{ ...lane, offset: 86, tailOffset: null }] })).toBe(false);
  });

  test("of many lanes that are behind one is named", () => {
    const behind = (label: string): StoppingLane => ({ ...lane, label, offset: 1 });
    const reasonOf = (lanes: StoppingLane[]): string => stopGate({ ...facts, lanes }).reason;
    expect(reasonOf([lane, behind("a.s1.7")])).toBe("stopping: lane a.s1.7 still applies what is stored");
    expect(reasonOf([behind("a.s1.7"), behind("a.s1.8")])).toBe("stopping: lane a.s1.7 and others still apply what is stored");
  });

  test("a lane that is halted, or in a copy without an end, is not waited for; it is told what it lacks", () => {
    const halted = { ...lane, isHalted: true, offset: 1 };
    const copying = { ...lane, label: "main.s0.1", isCopyCut: true, isLive: false };
    expect(stopGate({ ...facts, lanes: [lane, halted, copying] })).toEqual({
      isDone: true,
      reason: expect.stringContaining("not applied yet") as string,
      unapplied: { "main.s0.0": 99, "main.s0.1": null },
    });
    expect(stopGate(facts).unapplied).toEqual({});
    expect(isDone({ lanes: [halted, { ...lane, isLive: false }] })).toBe(false);
  });

  // Mutation: stop-gate.ts, isDrained without isHalted: a cut-over would settle what lacks a unit.
  test("a lane that halted behind its mark has not applied everything, wherever its offset is", () => {
    expect(stopGate({ ...facts, lanes: [{ ...lane, isHalted: true }] })).toMatchObject({
      isDone: true,
      reason: expect.stringContaining("not applied yet") as string,
      unapplied: { "main.s0.0": 0 },
    });
  });

  // Mutation: stop-gate.ts, the limit a constant.
  test("ends after 15 s in any case, or the time that it was given, and says that something is left", () => {
    const late = { ...facts, sinceMs: 15_000, areShardsAssigned: true, lanes: [{ ...lane, offset: 1 }] };
    expect(stopGate({ ...late, sinceMs: 14_999 }).isDone).toBe(false);
    expect(stopGate({ ...late, isPatient: true }).isDone).toBe(false);
    expect(stopGate({ ...late, limitMs: 600_000 }).isDone).toBe(false);
    expect(stopGate({ ...late, sinceMs: 600_000, limitMs: 600_000 }).isDone).toBe(true);
    expect(stopGate({ ...late, sinceMs: 0, limitMs: 0 }).isDone).toBe(true);
    expect(stopGate(late)).toMatchObject({ isDone: true, reason: expect.stringContaining("not applied yet") as string });
  });
});
