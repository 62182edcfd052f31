import { keySlot, slotTag, type DestinationServer } from "@sluice/redis";
import type { Logger } from "@sluice/runtime";
import { temporaryKey, type SnapshotRows } from "@sluice/wire";
import { quotable, verdictOf } from "../apply/verdict.ts";
import type { SnapshotValue } from "../lane-destination.ts";
import type { LeftOut } from "./left-out.ts";
import { expiryIn, isLoose, valueCommands, type ValueCommand } from "./value-commands.ts";

/** How a server refuses the payload of a RESTORE (cluster.c, `restoreCommand`): its value, or its version. */
const BAD_VALUE = /Bad data format/;
const BAD_VERSION = /version or checksum/;
/** The attempt of values that are built inside one step, which takes back what it leaves, or begins by deleting it. */
const INSIDE = "step";

export interface ValueFormsOptions {
  readonly pipeline: string;
  readonly group: string;
  readonly shard: string;
  readonly lane: number;
  readonly server: DestinationServer;
  /** What the server said that has no RESTORE; null where nothing is known to speak against it. */
  readonly lacksRestore: string | null;
  /** Of this opening of the lane; no other has the same. */
  readonly attempt: string;
  readonly shift: (expireAtMs: number) => number;
  readonly leftOut: LeftOut;
  readonly log: Logger;
}

/** A command of a step, and the value that it is for. */
export interface OwnedCommand {
  readonly value: SnapshotValue;
  readonly command: ValueCommand;
}

/**
 * In which form a lane's destination takes values: what its version says, and what it has answered. A RESTORE that it refused is not sent
 * again: for the one value, for its type, or for any, as the answer tells; such values are built from their elements from then on.
 */
export class ValueForms {
  readonly options: ValueFormsOptions;
  #refused: string | null = null;
  #attempts = 0;
  readonly #refusedTypes = new Map<number, string>();
  readonly #refusedValues = new Map<string, string>();

  constructor(options: ValueFormsOptions) {
    this.options = options;
    if (options.lacksRestore !== null) this.#refuseAll(quotable(options.lacksRestore));
  }

  /** A step is put together, maybe anew. */
  begin(): void {
    this.options.leftOut.begin();
  }

  /** The step is applied. */
  settled(): void {
    if (this.#refusedValues.size > 0) this.#refusedValues.clear();
    this.options.leftOut.settled();
  }

  /** As `valueCommands`. Throws `Halt` DST-006, SRC-004. */
  commandsOf(value: SnapshotValue): ValueCommand[] {
    const { rows, row, key } = value;
    const { server, shift, leftOut } = this.options;
    const loose = isLoose(rows, row);
    const db = rows.dbs[row] as number;
    return valueCommands(value, {
      server,
      shift,
      temporary: () => this.temporary(keySlot(key), INSIDE),
      refusal: this.#refusalOf(value),
      lacks: (what) => leftOut.lacks(db, loose ? null : key, what),
    });
  }

  /** When the entry expires in the destination; `NO_EXPIRY` for never. */
  expiryOf(rows: SnapshotRows, row: number): number {
    return expiryIn(rows, row, this.options.shift);
  }

  /** The attempts of all values that this opening of the lane builds outside of a step. */
  nextAttempt(): string {
    return `${this.options.attempt}-${++this.#attempts}`;
  }

  temporary(slot: number, attempt: string): Buffer {
    const { pipeline, group, shard, lane } = this.options;
    return Buffer.from(temporaryKey(slotTag(slot), pipeline, group, shard, lane, attempt));
  }

  /**
   * Commands of a step failed. True when each value with such a command is one whose RESTORE was refused, so that the step is worth another try
   * in another form. `error`: of the first of them, or of each.
   */
  learns(failed: readonly OwnedCommand[], error: (index: number) => string): boolean {
    const refused = new Map<SnapshotValue, string>();
    for (const [index, { value, command }] of failed.entries()) {
      if (command.before[0] === "RESTORE" && verdictOf(error(index)) === "halt") refused.set(value, error(index));
    }
    if (failed.length === 0 || failed.some(({ value }) => !refused.has(value))) return false;
    for (const [value, text] of refused) this.#learn(value, text);
    return true;
  }

  #learn(value: SnapshotValue, error: string): void {
    const { group, log } = this.options;
    const text = quotable(error);
    const type = value.rows.types[value.row] as number;
    if (BAD_VALUE.test(error)) this.#refusedValues.set(placeOf(value), text);
    else if (BAD_VERSION.test(error)) {
      if (!this.#refusedTypes.has(type))
        log.warn({ type }, `${group} refuses values of a type, which are built from now on: ${text}`);
      this.#refusedTypes.set(type, text);
    } else if (this.#refused === null) this.#refuseAll(text);
  }

  #refuseAll(text: string): void {
    const { group, log } = this.options;
    this.#refused = text;
    log.warn({}, `${group} has no RESTORE for us, values are built from their elements: ${text}`);
  }

  #refusalOf(value: SnapshotValue): string | null {
    if (this.#refused !== null) return this.#refused;
    if (this.#refusedTypes.size > 0) {
      const refusal = this.#refusedTypes.get(value.rows.types[value.row] as number);
      if (refusal !== undefined) return refusal;
    }
    return this.#refusedValues.size === 0 ? null : (this.#refusedValues.get(placeOf(value)) ?? null);
  }
}

function placeOf({ rows, row, key }: SnapshotValue): string {
  return `${rows.dbs[row]}:${key.toString("latin1")}`;
}
