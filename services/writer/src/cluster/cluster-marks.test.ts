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

const oneNode = (): string => "a";

/** `marks[i]` is slot i's; watermarks by the slot of their tag. */
function read(marks: readonly (Position | null)[], watermarks: Readonly<Record<number, Position>> = {}): ClusterMarks {
  const known = new ClusterMarks(SLOTS);
  for (const [slot, mark] of marks.entries()) known.take("slot", slot, mark === null ? null : formatMark(mark), "main");
  for (const [slot, mark] of Object.entries(watermarks)) known.take("watermark", Number(slot), formatMark(mark), "main");
  return known;
}

test("a live lane stands at the lowest of all watermarks of its history", () => {
  const marks = read([live(50), live(90), live(10)], { 0: live(80), 2: live(70), 1: live(5, { epoch: 2 }) });
  expect(marks.position("s0", oneNode)).toEqual(live(70));
});

test("a lane that no mark speaks of begins anew; one with a slot in the copy is in the copy", () => {
  expect(read([null, null, null]).position("s0", oneNode)).toBeNull();
  const snap = live(0, { phase: "snap", sequence: 0 });
  expect(read([live(50), snap, live(50)], { 0: live(50) }).position("s0", oneNode)).toMatchObject({
    epoch: 3,
    phase: "snap",
    offset: 0,
  });
  expect(read([snap, live(9, { epoch: 2 }), null]).position("s0", oneNode)).toMatchObject({ epoch: 3, phase: "snap" });
});

test("a live lane that has lost the mark of a slot, or all watermarks, is in the copy again", () => {
  const lost = read([live(50), null, live(90)], { 0: live(50) });
  expect([lost.position("s0", oneNode), lost.missing, lost.furthest({ epoch: 3, copy: 1 })?.offset]).toEqual([
    live(0, { phase: "snap", sequence: 0 }),
    1,
    90,
  ]);
  const unmarked = read([live(50), live(60), live(90)]);
  expect([unmarked.position("s0", oneNode), unmarked.missing]).toEqual([live(0, { phase: "snap", sequence: 0 }), 0]);
});

test("of slots on a node without a watermark only their own marks are believed", () => {
  const nodeOf = (slot: number): string => (slot === 2 ? "b" : "a");
  const marks = [live(50), live(60), live(70)];
  expect(read(marks, { 0: live(900) }).position("s0", nodeOf)).toEqual(live(70, { sequence: 0 }));
  expect(read(marks, { 0: live(65) }).position("s0", nodeOf)).toEqual(live(65));
  expect(read(marks, { 0: live(900), 2: live(800, { epoch: 2 }) }).position("s0", nodeOf)).toMatchObject({ offset: 70 });
  expect(read(marks, { 0: live(900), 2: live(800) }).position("s0", nodeOf)).toEqual(live(800));
  const taken = [live(50), live(60), live(1, { epoch: 4, shard: "s1" })];
  expect(read(taken, { 0: live(900) }).position("s0", nodeOf)).toEqual(live(900));
});

test("a watermark above where a copy ends has to go down before the copy is live", () => {
  const marks = read([live(50), null, live(90)], { 0: live(50), 2: live(99, { epoch: 2 }) });
  expect([live(49), live(50), live(49, { shard: "s1" })].map((target) => marks.hasWatermarkAbove(target))).toEqual([
    true,
    false,
    false,
  ]);
});

test("a slot that a later history took over is applied for good, as far as this lane goes; an earlier mark says nothing", () => {
  const marks = read([live(50), live(1, { epoch: 5, shard: "s1" }), live(40, { epoch: 2 })]);
  marks.follow({ epoch: 3, copy: 1 });
  expect([marks.appliedIn(0), marks.appliedIn(1), marks.appliedIn(2)]).toEqual([50, Infinity, -1]);
});

test("what is no mark is refused", () => {
  expect(() => new ClusterMarks(SLOTS).take("slot", 0, "garbage", "main")).toThrow(
    expect.objectContaining({ code: "DST-005" }),
  );
});
