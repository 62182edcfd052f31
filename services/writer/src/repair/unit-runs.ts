import { ChangeFlag, placed, type Batch, type ChangeRows, type Position } from "@sluice/wire";
import type { ChangeSlice } from "../apply/plan-changes.ts";
import { commandsOf, type Place, type RowSpan } from "./commands-of.ts";
import type { PlacedUnit } from "./pass-over.ts";

/** Whole units of one batch that follow each other: rows from `from` up to, not including, `until`. */
export interface UnitRun extends RowSpan {
  readonly slice: ChangeSlice;
  readonly batch: Batch;
  readonly sequence: number;
}

/** One unit with the keys that all its commands name. */
export interface KeyedUnit extends PlacedUnit, UnitRun {
  readonly isBarrier: boolean;
}

/** What of a batch is to be applied, as a run. */
export function runOf({ slice, batch, sequence }: Pick<UnitRun, "slice" | "batch" | "sequence">): UnitRun {
  return { slice, batch, sequence, from: slice.from, until: slice.rows.count };
}

/** The units one by one, in order, each with the offset at which it ends. */
export function* singleUnits(runs: readonly UnitRun[]): Generator<UnitRun & { readonly end: number }> {
  for (const run of runs) {
    const { rows } = run.slice;
    for (let from = run.from; from < run.until;) {
      const until = endOfUnit(rows, from);
      yield { ...run, from, until, end: endOffset(run, until - 1) };
      from = until;
    }
  }
}

/** `position`, brought to where the unit ends. */
export function placedAt(position: Position, { end, sequence, batch }: UnitRun & { readonly end: number }): Position {
  return placed(position, end, sequence, batch.replid);
}

/** The units with their keys. */
export function keyedUnits(runs: readonly UnitRun[]): KeyedUnit[] {
  const units: KeyedUnit[] = [];
  for (const run of runs) {
    const { rows } = run.slice;
    let open: { from: number; places: Place[] | null; isBarrier: boolean } | null = null;
    for (const { row, command } of commandsOf(run)) {
      open ??= { from: row, places: [], isBarrier: false };
      if (command.places === null) open.places = null;
      else for (const place of command.places) open.places?.push(place);
      // Of a transaction any command may be one.
      open.isBarrier ||= ((rows.flags[row] as number) & ChangeFlag.barrier) !== 0;
      const isEnd = row + 1 === run.until || rows.ends[row + 1] !== rows.ends[row];
      if (!isEnd) continue;
      const places = open.places === null ? null : [...new Set(open.places)];
      units.push({ ...run, from: open.from, until: row + 1, end: endOffset(run, row), places, isBarrier: open.isBarrier });
      open = null;
    }
  }
  return units;
}

/** The same units, as few runs as make them up. */
export function joinedRuns(units: readonly UnitRun[]): UnitRun[] {
  const runs: UnitRun[] = [];
  for (const unit of units) {
    const last = runs.at(-1);
    if (last?.slice === unit.slice && last.until === unit.from) runs[runs.length - 1] = { ...last, until: unit.until };
    else runs.push({ slice: unit.slice, batch: unit.batch, sequence: unit.sequence, from: unit.from, until: unit.until });
  }
  return runs;
}

/** Where the unit ends whose last row this is. One in parts has no distance: it ends where its last part does. */
function endOffset({ slice, batch }: UnitRun, row: number): number {
  return batch.part !== null ? batch.last : batch.previous + (slice.rows.ends[row] as number);
}

/** The row behind the unit that begins at `from`. */
function endOfUnit(rows: ChangeRows, from: number): number {
  const end = rows.ends[from];
  let row = from + 1;
  while (row < rows.count && rows.ends[row] === end) row++;
  return row;
}
