import type { Endpoint } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import type { ChangeRows, Position } from "@sluice/wire";
import type { ChangeGroup, LaneDestination, SnapshotValue } from "../lane-destination.ts";
import type { KeySet } from "../snapshot/key-set.ts";
import { staleKeys } from "../snapshot/sweep.ts";
import { isLoose, valueCommands } from "../snapshot/value-commands.ts";
import { ChangePlanner } from "./plan-changes.ts";
import { Request } from "./request.ts";
import { GroupRefused, type StandaloneDestination } from "./standalone-destination.ts";
import { quotable } from "./verdict.ts";

const UNLINK_SINCE = 40_000;
const FUNCTIONS_SINCE = 70_000;

export interface StandaloneLaneOptions {
  readonly label: string;
  readonly markKey: string;
  readonly endpoint: Endpoint;
  readonly shift: (expireAtMs: number) => number;
  /** Whether a key belongs to this lane. */
  readonly owns: (key: Buffer) => boolean;
  /** The lane has all slots: what belongs to no slot is its own, too. */
  readonly isSole: boolean;
  readonly signal: AbortSignal;
}

/** A lane in a destination that is one server: one mark, moved by watched transactions. */
export class StandaloneLane implements LaneDestination {
  readonly name: string;
  readonly #target: StandaloneDestination;
  readonly #options: StandaloneLaneOptions;
  #position: Position | null;

  constructor(target: StandaloneDestination, options: StandaloneLaneOptions) {
    this.name = target.name;
    this.#target = target;
    this.#options = options;
    this.#position = target.position;
  }

  get position(): Position | null {
    return this.#position;
  }

  get safeSequence(): number {
    return this.#position?.phase === "live" ? this.#position.sequence : 0;
  }

  async applyChanges({ slices, target }: ChangeGroup): Promise<number> {
    const planner = this.#newPlanner();
    for (const { slice } of slices) planner.add(slice);
    try {
      return await this.#apply(planner.finish().request, target);
    } catch (cause) {
      if (!(cause instanceof GroupRefused)) throw cause;
      return this.#applyUnitByUnit(slices, cause, target);
    }
  }

  async isEmpty(): Promise<boolean> {
    return this.#options.isSole && (await this.#target.isEmpty());
  }

  async claim(target: Position, isClean: boolean): Promise<void> {
    // Claimed before, and a part of the copy written: a restart goes on there.
    if (this.#position?.epoch === target.epoch && this.#position.phase === "snap") return;
    const request = new Request();
    if (!isClean && this.#options.isSole && this.#target.version >= FUNCTIONS_SINCE) request.addCommand(["FUNCTION", "FLUSH"]);
    await this.#applyCopy(request, target);
  }

  async applyValues(values: readonly SnapshotValue[], target: Position): Promise<number> {
    const request = new Request();
    const options = { version: this.#target.version, shift: this.#options.shift };
    let selected = 0;
    for (const value of values) {
      const db = isLoose(value.rows, value.row) ? selected : (value.rows.dbs[value.row] as number);
      if (db !== selected) request.select(db);
      selected = db;
      for (const { before, pieces, after } of valueCommands(value, options)) {
        if (pieces.length === 0) request.addCommand([...before, ...after]);
        else request.addWithPieces(before, pieces, after);
      }
    }
    return this.#applyCopy(request, target);
  }

  async sweep(held: KeySet): Promise<number> {
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
    this.#target.close();
  }

  async #apply(request: Request, next: Position): Promise<number> {
    const bytes = request.bytes;
    await this.#target.apply(this.#position, request, next);
    this.#position = next;
    return bytes;
  }

  async #applyCopy(request: Request, next: Position): Promise<number> {
    try {
      return await this.#apply(request, next);
    } catch (cause) {
      if (!(cause instanceof GroupRefused)) throw cause;
      throw new Halt("DST-002", `${this.name} refuses a part of the copy: ${quotable(cause.error)}`, { cause });
    }
  }

  /**
   * Something in the group can't be run. All that precedes it is applied, each unit by itself, so that the lane halts exactly at
   * the unit at fault and can go on from there.
   */
  async #applyUnitByUnit(slices: ChangeGroup["slices"], refusal: GroupRefused, target: Position): Promise<never> {
    for (const { slice, batch, sequence } of slices) {
      for (let from = slice.from; from < slice.rows.count;) {
        const until = endOfUnit(slice.rows, from);
        const planner = this.#newPlanner();
        planner.add({ ...slice, from }, until);
        const end = until === slice.rows.count ? batch.last : batch.previous + (slice.rows.ends[from] as number);
        try {
          await this.#apply(planner.finish().request, { ...this.#standing, offset: end, sequence });
        } catch (cause) {
          if (!(cause instanceof GroupRefused)) throw cause;
          throw this.#refused(cause, end);
        }
        from = until;
      }
    }
    throw this.#refused(refusal, target.offset);
  }

  #refused(refusal: GroupRefused, end: number): Halt {
    const { label } = this.#options;
    return new Halt(
      "DST-002",
      `${this.name} refuses the unit of lane ${label} that ends at offset ${end}: ${quotable(refusal.error)}`,
    );
  }

  #newPlanner(): ChangePlanner {
    return new ChangePlanner({ shift: this.#options.shift, markKey: this.#options.markKey });
  }

  get #standing(): Position {
    if (this.#position === null) throw new Error("nothing is applied before the lane is claimed");
    return this.#position;
  }
}

/** The row behind the unit that begins at `from`. */
function endOfUnit(rows: ChangeRows, from: number): number {
  const end = rows.ends[from];
  let row = from + 1;
  while (row < rows.count && rows.ends[row] === end) row++;
  return row;
}
