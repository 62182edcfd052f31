import { formatMark, SlotSet, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { ClusterMarks } from "./cluster-marks.ts";

const SLOTS = SlotSet.parse("0-2");
const live = (offset: number, fields: Partial<Position> = {}): Position => ({
  epoch: 3,
  copy: 1,
  phase: "live",
  shard: "s0",
  offset,
  sequence: offset * 10,
  ...fields,
});

/** `marks[i]` is slot i's; watermarks by the slot of their tag. */
function read(marks: readonly (Position | null)[], watermarks: Readonly<Record<number, Position>> = {}): ClusterMarks {
  const known = new ClusterMarks(SLOTS);
  for (const [slot, mark] of marks.entries()) known.take("slot", slot, mark === null ? null : formatMark(mark), "main");
  for (const [slot, mark] of Object.entries(watermarks)) known.take("watermark", Number(slot), formatMark(mark), "main");
  return known;
}

test("a live lane stands at the lowest of all watermarks of its history", () => {
  const marks = read([live(50), live(90), live(10)], { 0: live(80), 2: live(70), 1: live(5, { epoch: 2 }) });
  expect(marks.position("s0", "main")).toEqual(live(70));
});

test("a lane that no mark speaks of begins anew; one with a slot in the copy is in the copy", () => {
  expect(read([null, null, null]).position("s0", "main")).toBeNull();
  const snap = live(0, { phase: "snap", sequence: 0 });
  expect(read([live(50), snap, live(50)], { 0: live(50) }).position("s0", "main")).toMatchObject({
    epoch: 3,
    phase: "snap",
    offset: 0,
  });
  expect(read([snap, live(9, { epoch: 2 }), null]).position("s0", "main")).toMatchObject({ epoch: 3, phase: "snap" });
});

test("loud: a live lane that lacks the mark of a slot has lost data", () => {
  expect(() => read([live(50), null, live(50)], { 0: live(50) }).position("s0", "main")).toThrow(
    expect.objectContaining({ code: "DST-005" }),
  );
});

test("a slot that a later history took over is applied for good, as far as this lane goes; an earlier mark says nothing", () => {
  const marks = read([live(50), live(1, { epoch: 5, shard: "s1" }), live(40, { epoch: 2 })]);
  marks.follow(3);
  expect([marks.appliedIn(0), marks.appliedIn(1), marks.appliedIn(2)]).toEqual([50, Infinity, -1]);
});

test("what is no mark is refused", () => {
  expect(() => new ClusterMarks(SLOTS).take("slot", 0, "garbage", "main")).toThrow(
    expect.objectContaining({ code: "DST-005" }),
  );
});
