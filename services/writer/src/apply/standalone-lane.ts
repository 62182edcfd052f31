import type { Endpoint } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import type { Position } from "@sluice/wire";
import type { ChangeGroup, LaneDestination, PartedValue, SnapshotValue, UnjudgedSpan } from "../lane-destination.ts";
import type { StandaloneKept } from "../keep/standalone-kept.ts";
import type { KeySet } from "../snapshot/key-set.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import type { LaneHistory } from "../repair/repair-book.ts";
import type { Abilities } from "../rewrite/abilities.ts";
import { placedAt, runOf, singleUnits, type UnitRun } from "../repair/unit-runs.ts";
import { staleKeys } from "../snapshot/sweep.ts";
import { isLoose } from "../snapshot/value-commands.ts";
import type { OwnedCommand, ValueForms } from "../snapshot/value-forms.ts";
import { addValueCommand, learnsFrom } from "./copy-step.ts";
import { ChangePlanner } from "./plan-changes.ts";
import { Request } from "./request.ts";
import { StandaloneBuild } from "./standalone-build.ts";
import { CommandsFailed, GroupRefused, UNLINK_SINCE, type StandaloneDestination } from "./standalone-destination.ts";
import { StandaloneRepairs } from "./standalone-repairs.ts";
import { quotable } from "./verdict.ts";

const FUNCTIONS_SINCE = 70_000;

export interface StandaloneLaneOptions {
  readonly label: string;
  readonly markKey: string;
  /** See `attemptsKey`. */
  readonly attempts: string;
  readonly forms: ValueForms;
  readonly endpoint: Endpoint;
  readonly shift: (expireAtMs: number) => number;
  /** Whether a key belongs to this lane. */
  readonly owns: (key: Buffer) => boolean;
  /** The lane has all slots: what belongs to no slot is its own, too. */
  readonly isSole: boolean;
  readonly repair: KeyRepair;
  /** With `existing: keep`; read already. */
  readonly kept?: StandaloneKept;
  readonly signal: AbortSignal;
}

/**
 * A lane in a destination that is one server: one mark, moved by watched transactions.
 *
 * EXEC does not roll back, and when a connection breaks behind it, nobody learns whether a command of it failed. So each mark
 * also says up to where replies had been read when its transaction was sent:
 *
 *     EXEC 1   mark 100|judged 0      replies read
 *     EXEC 2   mark 180|judged 100    replies lost, or the writer was killed
 *     open     180 ahead of 100: the units in between ran, and nobody knows how → `judge`, before anything else is applied
 *
 * A mark without it speaks of nothing unjudged: an empty group leaves one, and so does a lane that has nothing to do.
 */
export class StandaloneLane implements LaneDestination {
  readonly name: string;
  readonly abilities: Abilities;
  /** A lane that has lost its one mark has no position. */
  readonly lost = null;
  readonly #target: StandaloneDestination;
  readonly #options: StandaloneLaneOptions;
  readonly #repairs: StandaloneRepairs;
  /** As it stands in the destination. */
  #mark: Position | null;
  #position: Position | null;
  #unjudged: UnjudgedSpan | null = null;
  #build: StandaloneBuild | null = null;

  constructor(target: StandaloneDestination, options: StandaloneLaneOptions) {
    this.name = target.name;
    this.abilities = target.abilities;
    this.#target = target;
    this.#options = options;
    this.#mark = target.position;
    this.#position = judgedPosition(this.#mark);
    if (this.#mark?.phase === "live" && this.#mark.judged !== undefined) {
      const { judged, offset, sequence } = this.#mark;
      if (judged.offset < offset) this.#unjudged = { from: judged, to: { offset, sequence } };
    }
    const lane = {
      label: options.label,
      applyRuns: this.#applyRuns.bind(this),
      applyBeside: async (request: Request) => this.#target.apply(this.#mark, request, this.#standingMark),
      newPlanner: this.#newPlanner.bind(this),
    };
    this.#repairs = new StandaloneRepairs(target, lane, options, this.#mark?.epoch ?? 0);
  }

  get position(): Position | null {
    return this.#position;
  }

  get unjudged(): UnjudgedSpan | null {
    return this.#unjudged;
  }

  get reached(): number {
    return this.#position?.phase === "live" ? this.#position.offset : 0;
  }

  get reachedIn(): string | null {
    return this.#position?.replid ?? null;
  }

  get safeSequence(): number {
    return this.#mark?.phase === "live" ? (this.#mark.judged?.sequence ?? this.#mark.sequence) : 0;
  }

  async applyChanges({ slices, target }: ChangeGroup): Promise<number> {
    if (this.#unjudged !== null) throw new Error("what nobody judged comes before anything else");
    const runs = slices.map((slice) => runOf(slice));
    if (this.#repairs.hasPending) return this.#repairs.applyAround(runs, target);
    return this.#applyRuns(runs, target);
  }

  async judge(runs: readonly UnitRun[] | null): Promise<void> {
    const position = this.#standing;
    await this.#repairs.judge(runs, position);
    await this.#applyRuns([], position);
    this.#unjudged = null;
  }

  async follow(history: LaneHistory): Promise<void> {
    if (this.#repairs.hasPending) await this.#repairs.follow([history], this.#standing);
  }

  async confirm(): Promise<void> {
    // The same comparison, and the mark says afterwards that nothing is unjudged.
    if (this.#mark?.judged !== undefined && this.#unjudged === null) await this.#applyRuns([], this.#standing);
    else await this.#target.confirm();
  }

  async isEmpty(): Promise<boolean> {
    return this.#options.isSole && (await this.#target.isEmpty());
  }

  async claim(target: Position, isClean: boolean): Promise<void> {
    await this.#options.kept?.takeDown();
    // Claimed before, and a part of the copy written: a restart goes on there.
    const { epoch, copy } = target;
    if (this.#position?.epoch === epoch && this.#position.copy === copy && this.#position.phase === "snap") return;
    this.#unjudged = null;
    const request = new Request();
    this.#repairs.forget(request);
    if (!isClean && this.#options.isSole && this.#target.version >= FUNCTIONS_SINCE) request.addCommand(["FUNCTION", "FLUSH"]);
    await this.#applyCopy(request, target);
  }

  async applyValues(values: readonly SnapshotValue[], target: Position): Promise<number> {
    const { forms } = this.#options;
    for (;;) {
      const { request, owners } = this.#copyRequest(values);
      try {
        const bytes = await this.#apply(request, target);
        forms.settled();
        return bytes;
      } catch (cause) {
        if (!learnsFrom(cause, owners, forms)) throw this.#copyFault(cause);
      }
    }
  }

  async build(value: PartedValue): Promise<StandaloneBuild> {
    const { endpoint, attempts, forms, signal } = this.#options;
    forms.begin();
    const apply = async (request: Request, next: Position): Promise<number> => {
      const bytes = await this.#applyCopy(request, next);
      forms.settled();
      return bytes;
    };
    this.#build?.close();
    this.#build = await StandaloneBuild.begin({ target: this.#target, forms, endpoint, attempts, apply, signal }, value);
    return this.#build;
  }

  async sweep(held: Pick<KeySet, "has">): Promise<number> {
    const { endpoint, owns, signal } = this.#options;
    const remove = this.#target.version >= UNLINK_SINCE ? "UNLINK" : "DEL";
    let swept = 0;
    for await (const { db, keys } of staleKeys(this.name, endpoint, held, owns, signal)) {
      const request = new Request();
      request.select(db);
      request.addCommand([remove, ...keys]);
      await this.#applyCopy(request, this.#standing);
      swept += keys.length;
    }
    return swept;
  }

  async goLive(target: Position): Promise<void> {
    await this.#applyCopy(new Request(), target);
  }

  close(): void {
    this.#build?.close();
    this.#target.close();
  }

  /** Throws as `StandaloneDestination.apply` does; behind `CommandsFailed` the mark has moved and the position has not. */
  async #apply(request: Request, next: Position): Promise<number> {
    const bytes = request.bytes;
    const mark = nextMark(this.#mark, request.commands === 0 ? next : this.#position, next);
    try {
      await this.#target.apply(this.#mark, request, mark);
    } catch (cause) {
      if (cause instanceof CommandsFailed) this.#mark = mark;
      throw cause;
    }
    this.#mark = mark;
    this.#position = next;
    return bytes;
  }

  /** Applies the units of the runs. `add` puts what belongs to the same transaction behind them; it finds database 0 selected. */
  async #applyRuns(runs: readonly UnitRun[], next: Position, add?: (request: Request) => void): Promise<number> {
    const planner = this.#newPlanner();
    for (const { slice, from, until } of runs) planner.add({ ...slice, from }, until);
    const { request } = planner.finish();
    if (add !== undefined) {
      request.select(0);
      add(request);
    }
    try {
      return await this.#apply(request, next);
    } catch (cause) {
      if (cause instanceof GroupRefused) return this.#applyUnitByUnit(runs, cause, next, add);
      if (!(cause instanceof CommandsFailed)) throw cause;
      await this.#repairs.failed(runs, cause, next);
      this.#position = next;
      return request.bytes;
    }
  }

  async #applyCopy(request: Request, next: Position): Promise<number> {
    try {
      return await this.#apply(request, next);
    } catch (cause) {
      throw this.#copyFault(cause);
    }
  }

  #copyFault(cause: unknown): unknown {
    if (!(cause instanceof GroupRefused)) return cause;
    return new Halt("DST-002", `${this.name} refuses a part of the copy: ${quotable(cause.error)}`, { cause });
  }

  /** `owners`: for each command of the request the value that it is for. */
  #copyRequest(values: readonly SnapshotValue[]): { request: Request; owners: (OwnedCommand | undefined)[] } {
    const { forms } = this.#options;
    const request = new Request();
    const owners: (OwnedCommand | undefined)[] = [];
    let selected = 0;
    forms.begin();
    for (const value of values) {
      const db = isLoose(value.rows, value.row) ? selected : (value.rows.dbs[value.row] as number);
      if (db !== selected) {
        request.select(db);
        owners.push(undefined);
      }
      selected = db;
      for (const command of forms.commandsOf(value)) {
        addValueCommand(request, command);
        owners.push({ value, command });
      }
    }
    return { request, owners };
  }

  /**
   * Something in the group can't be run. All that precedes it is applied, each unit by itself, so that the lane halts exactly at
   * the unit at fault and can go on from there. Where each can be run by itself, it was only together that they could not.
   */
  async #applyUnitByUnit(
    runs: readonly UnitRun[],
    refusal: GroupRefused,
    target: Position,
    add?: (request: Request) => void,
  ): Promise<number> {
    const units = [...singleUnits(runs)];
    const last = units.pop();
    if (last === undefined || units.length === 0) throw this.#refused(refusal, target.offset);
    let bytes = 0;
    for (const unit of units) {
      bytes += await this.#applyOne(unit, placedAt(this.#standing, unit));
    }
    if (!this.#repairs.hasPending) return bytes + (await this.#applyRuns([last], target, add));
    bytes += await this.#applyOne(last, target);
    return add === undefined ? bytes : bytes + (await this.#applyRuns([], target, add));
  }

  /** A unit before it may have had keys repaired that are ahead of this one. */
  async #applyOne(unit: UnitRun, next: Position): Promise<number> {
    return this.#repairs.hasPending ? this.#repairs.applyAround([unit], next) : this.#applyRuns([unit], next);
  }

  #refused(refusal: GroupRefused, end: number): Halt {
    const { label } = this.#options;
    return new Halt(
      "DST-002",
      `${this.name} refuses the unit of lane ${label} that ends at offset ${end}: ${quotable(refusal.error)}`,
    );
  }

  #newPlanner(trace?: (index: number) => void): ChangePlanner {
    const { shift, markKey, kept } = this.#options;
    const standing = kept?.standing ?? null;
    return new ChangePlanner({
      shift,
      markKey,
      ...(standing === null ? {} : { standing }),
      ...(trace === undefined ? {} : { trace }),
    });
  }

  get #standingMark(): Position {
    if (this.#mark === null) throw new Error("nothing is repaired before the lane is claimed");
    return this.#mark;
  }

  get #standing(): Position {
    if (this.#position === null) throw new Error("nothing is applied before the lane is claimed");
    return this.#position;
  }
}

/** Where the lane goes on: entries of a copy whose replies nobody read are written again, each replaces what is there. */
function judgedPosition(mark: Position | null): Position | null {
  if (mark === null) return null;
  const { judged, ...position } = mark;
  if (judged === undefined || mark.phase === "live") return position;
  return { ...position, offset: judged.offset, sequence: judged.sequence };
}

function withoutJudged(mark: Position): Position {
  const { judged: _, ...position } = mark;
  return position;
}

/** The mark of a transaction that brings the lane to `next` and is sent while everything up to `judged` is. Marks only grow. */
function nextMark(mark: Position | null, judged: Position | null, next: Position): Position {
  const isSame = mark?.epoch === next.epoch && mark.copy === next.copy && mark.phase === next.phase;
  const highest = isSame && mark.offset > next.offset ? withoutJudged(mark) : next;
  const isCounted = judged?.epoch === next.epoch && judged.copy === next.copy && judged.phase === next.phase;
  const known = isCounted ? judged : next;
  if (known.offset >= highest.offset) return highest;
  return { ...highest, judged: { offset: known.offset, sequence: known.sequence } };
}
