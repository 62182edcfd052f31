import { CommandFramer, shiftExpiry, withoutKeys } from "@sluice/redis";
import { ChangeFlag, type ChangeRows } from "@sluice/wire";
import { Request } from "./request.ts";

/** What a group of changes becomes on its way to a destination. */
export interface ChangePlan {
  readonly request: Request;
  /** Units and commands of the source in it. */
  readonly units: number;
  readonly commands: number;
}

/** Rows `[from, rows.count)` of one batch with their bytes, which may come in several pieces (a unit in parts). */
export interface ChangeSlice {
  readonly rows: ChangeRows;
  readonly body: Buffer;
  /** First row that is not in the destination yet; a unit's first row. */
  readonly from: number;
}

/** A string of Sluice's own. */
export interface StandingKey {
  readonly key: string;
  readonly text: string;
}

export interface PlanOptions {
  /** Takes an absolute expiry of the source to that of the destination, in ms. */
  readonly shift: (expireAtMs: number) => number;
  readonly markKey: string;
  /** What else of Sluice's own stands in database 0 for good, and would go with it. */
  readonly standing?: StandingKey;
  /** Told, for each row in order, which command of the request it became. */
  readonly trace?: (index: number) => void;
}

/**
 * Puts a group of changes together: runs of raw bytes as they are, SELECT where the database changes, and a command of our own
 * in place of one that carries an expiry. Begins and ends in database 0 … the transaction selects it again by itself.
 */
export class ChangePlanner {
  readonly #options: PlanOptions;
  #request = new Request();
  #db = 0;
  #units = 0;
  #commands = 0;

  constructor(options: PlanOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#request.bytes;
  }

  get commands(): number {
    return this.#commands;
  }

  /** Adds the rows of a slice; with `until`, only the rows before it. */
  add(slice: ChangeSlice, until = slice.rows.count): void {
    const { rows, body, from } = slice;
    const { trace } = this.#options;
    let at = 0;
    for (let row = 0; row < from; row++) at += rows.lengths[row] as number;
    let runStart = at;
    let runCommands = 0;
    for (let row = from; row < until; row++) {
      const flags = rows.flags[row] as number;
      const end = at + (rows.lengths[row] as number);
      const db = rows.dbs[row] as number;
      if (db !== this.#db || (flags & SPECIAL) !== 0) {
        this.#addRun(body, runStart, at, runCommands);
        this.#select(db);
        runStart = at;
        runCommands = 0;
        if ((flags & SPECIAL) !== 0) {
          this.#addSpecial(body.subarray(at, end), flags);
          runStart = end;
          runCommands = -1;
        }
      }
      trace?.(this.#request.commands + runCommands);
      runCommands++;
      if ((flags & ChangeFlag.last) !== 0) this.#units++;
      at = end;
    }
    this.#commands += until - from;
    this.#addRun(body, runStart, at, runCommands);
  }

  finish(): ChangePlan {
    return { request: this.#request, units: this.#units, commands: this.#commands };
  }

  #addRun(body: Buffer, start: number, end: number, commands: number): void {
    if (end > start) this.#request.addRaw(body.subarray(start, end), commands);
  }

  #select(db: number): void {
    if (db === this.#db) return;
    this.#request.select(db);
    this.#db = db;
  }

  #addSpecial(command: Buffer, flags: number): void {
    const framer = new CommandFramer({}, command);
    framer.next();
    if ((flags & ChangeFlag.keyed) !== 0) {
      const { start, end, argc } = withoutKeys(framer);
      this.#request.addRaw(Buffer.from(`*${argc}\r\n`), 0);
      // Of the row's own bytes, which nobody writes to, where the framer's may be a copy that is used again.
      this.#request.addRaw(command.subarray(command.length - (end - start)), 1);
      return;
    }
    const shifted = (flags & ChangeFlag.expiry) === 0 ? null : shiftExpiry(framer, this.#options.shift);
    if (shifted === null) this.#request.addRaw(command, 1);
    else for (const [index, piece] of shifted.entries()) this.#request.addRaw(piece, index === 0 ? 1 : 0);
    if ((flags & ChangeFlag.barrier) === 0) return;
    this.#keepMarkHome(framer);
    this.#keepStanding();
  }

  /** SWAPDB with database 0 takes the mark away with it; what it left elsewhere must go, since marks are looked for in 0 only. */
  #keepMarkHome(framer: CommandFramer): void {
    const argument = (index: number): string => framer.buffer.toString("latin1", framer.argStart(index), framer.argEnd(index));
    if (framer.argc !== 3 || argument(0).toUpperCase() !== "SWAPDB") return;
    const [one, two] = [Number(argument(1)), Number(argument(2))];
    if (one === two || (one !== 0 && two !== 0)) return;
    const db = this.#db;
    this.#select(one === 0 ? two : one);
    const { markKey, standing } = this.#options;
    this.#request.addCommand(["DEL", markKey, ...(standing === undefined ? [] : [standing.key])]);
    this.#select(db);
  }

  /** What empties database 0, or takes another's place there, took it away. */
  #keepStanding(): void {
    const { standing } = this.#options;
    if (standing === undefined) return;
    const db = this.#db;
    this.#select(0);
    this.#request.addCommand(["SET", standing.key, standing.text]);
    this.#select(db);
  }
}

const SPECIAL = ChangeFlag.expiry | ChangeFlag.barrier | ChangeFlag.keyed;
