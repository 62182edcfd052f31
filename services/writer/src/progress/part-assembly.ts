import { ChangeFlag, ChangeRows, type Batch } from "@sluice/wire";
import type { ChangeSlice } from "../apply/plan-changes.ts";
import { PartSequence } from "./part-sequence.ts";

const NONE = Buffer.alloc(0);
/** A unit of many commands says only as it comes how long it is: room for so much more, by its length, is made at a time. */
const SPARE = 0.25;

/**
 * Joins a unit that came in parts, because a destination takes it as a whole. Each part is copied to its place as it arrives and let go: so the
 * unit is held once, and a command that is larger than a message gets its room at once, since its row says how long it is.
 */
export class PartAssembly {
  readonly #sequence = new PartSequence();
  #rows = new ChangeRows(1);
  #body: Buffer = NONE;
  #used = 0;

  /** The whole unit once `batch` is its final part; null while more are to come or when the set is void. */
  add(batch: Batch): ChangeSlice | null {
    const { part, rows, body } = batch;
    if (part === null) return null;
    const place = this.#sequence.take(part);
    if (place !== "goesOn") this.#let();
    if (place === "void") return null;
    if (rows instanceof ChangeRows) for (let row = 0; row < rows.count; row++) this.#rows.copyRow(rows, row);
    this.#append(body);
    if (!part.final) return null;
    const slice = { rows: lastMarked(this.#rows), body: this.#body.subarray(0, this.#used), from: 0 };
    this.#let();
    return slice;
  }

  clear(): void {
    this.#sequence.clear();
    this.#let();
  }

  #append(bytes: Buffer): void {
    const needed = this.#used + bytes.length;
    if (needed > this.#body.length) {
      const known = this.#rows.lengths.subarray(0, this.#rows.count).reduce((sum, length) => sum + length, 0);
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, known, Math.floor(this.#body.length * (1 + SPARE))));
      this.#body.copy(larger, 0, 0, this.#used);
      this.#body = larger;
    }
    bytes.copy(this.#body, this.#used);
    this.#used = needed;
  }

  #let(): void {
    this.#rows = new ChangeRows(1);
    this.#body = NONE;
    this.#used = 0;
  }
}

/** The row of a command that began in an earlier part was sent before it was known to be the last one. */
function lastMarked(rows: ChangeRows): ChangeRows {
  const last = rows.count - 1;
  if (last >= 0) rows.flags[last] = (rows.flags[last] as number) | ChangeFlag.last;
  return rows;
}
