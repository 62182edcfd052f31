import { headerBytes, keySlot } from "@sluice/redis";
import { ChangeFlag, ChangeRows } from "@sluice/wire";
import { encodeScoped, type ScopedCommand } from "./command-scope.ts";

const EDGES = ChangeFlag.first | ChangeFlag.last;

/** Collects what a group gets of a slice: rows that stay as they are, in runs of their bytes, and others in the place of rows. */
export class ProjectedSlice {
  readonly rows: ChangeRows;
  readonly #from: ChangeRows;
  readonly #body: Buffer;
  readonly #pieces: Buffer[] = [];
  #runStart = 0;
  #runEnd = 0;
  /** Where the rows of the unit that is open begin. */
  #unitFrom = 0;

  constructor(from: ChangeRows, body: Buffer) {
    this.#from = from;
    this.#body = body;
    this.rows = new ChangeRows(from.count);
  }

  /** The row as it is, which stands at `at` of the body, in database `db`. */
  keep(row: number, at: number, db: number): void {
    const { lengths, argcs, headers } = this.#from;
    const length = lengths[row] as number;
    if (at !== this.#runEnd) {
      this.#closeRun();
      this.#runStart = at;
    }
    this.#runEnd = at + length;
    this.#add(row, length, argcs[row] as number, this.#from.slots[row] as number, db, headers[row] as number);
  }

  /** The command in place of the row. */
  replace(row: number, command: ScopedCommand): void {
    this.#closeRun();
    const { args, db, key } = command;
    const raw = encodeScoped(command);
    this.#pieces.push(raw);
    const slot = key === null ? (this.#from.slots[row] as number) : keySlot(key);
    this.#add(row, raw.length, args.length, slot, db, headerBytes(args.length));
  }

  /** The unit has no more rows: what is left of it begins and ends here. */
  endUnit(): void {
    const { flags, count } = this.rows;
    if (count > this.#unitFrom) {
      flags[this.#unitFrom] = (flags[this.#unitFrom] as number) | ChangeFlag.first;
      flags[count - 1] = (flags[count - 1] as number) | ChangeFlag.last;
    }
    this.#unitFrom = count;
  }

  /** The bytes of all rows so far. */
  body(): Buffer {
    this.#closeRun();
    return this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
  }

  #add(row: number, length: number, argc: number, slot: number, db: number, header: number): void {
    const flags = (this.#from.flags[row] as number) & ~EDGES;
    this.rows.add(length, argc, this.#from.ends[row] as number, slot, db, flags, header);
  }

  #closeRun(): void {
    if (this.#runEnd > this.#runStart) this.#pieces.push(this.#body.subarray(this.#runStart, this.#runEnd));
    [this.#runStart, this.#runEnd] = [0, 0];
  }
}
