import { CommandFramer, CommandKind, commandTable, type FramedCommand, isForeign, neededText, originOf } from "@sluice/redis";
import { Halt, printable, type Logger } from "@sluice/runtime";
import { ChangeFlag, type DestinationSpec } from "@sluice/wire";
import type { ChangeSlice } from "../apply/plan-changes.ts";
import { ProjectedSlice } from "../project/projected-slice.ts";
import type { SliceOrigin } from "../project/projection.ts";
import type { DivergencePolicy } from "../repair/key-repair.ts";
import type { Abilities } from "./abilities.ts";
import { hashRules } from "./hash-rules.ts";
import { keyRules } from "./key-rules.ts";
import { listRules } from "./list-rules.ts";
import { unheld, computed, type Arguments, type Outcome, type Rule, type RuleMaker } from "./outcome.ts";
import { REFUSED } from "./scripts.ts";
import { sortedSetRules } from "./sorted-set-rules.ts";
import { streamRules } from "./stream-rules.ts";
import { stringRules } from "./string-rules.ts";

const MAKERS: Readonly<Record<string, RuleMaker>> = {
  ...stringRules,
  ...hashRules,
  ...listRules,
  ...sortedSetRules,
  ...streamRules,
  ...keyRules,
};

/** What such a command leaves is of a type that older servers have: its keys can be taken from the source. Of all others they can't. */
const COMPUTED = new Set(
  "GEOADD GEORADIUS GEORADIUSBYMEMBER BITFIELD LMPOP ZMPOP LMOVEM HIMPORT XREADGROUP XAUTOCLAIM XNACK".split(" "),
);
/** Keys that are named in the log; others are counted only. */
const MOST_NAMED = 100;
const SHOWN_BYTES = 80;
const LF = 10;
const LETTER_BITS = 5;
const LETTER_MASK = 31;
const LOOKS = 2048;
const ZERO = 48;
const LONGEST_WORD = 16;

/** The rules of a destination by number in `commandTable`; empty where it has all that any source may send. */
export function rulesFor(abilities: Abilities): (Rule | null)[] {
  return commandTable.names.map((name, id) => {
    // Carriers of commands that are in no table: the destination says by itself what it has.
    if (commandTable.kind[id] === CommandKind.forbidden) return null;
    const maker = MAKERS[name];
    if (maker !== undefined) return maker(abilities);
    if (abilities.hasCommand(name)) return null;
    const needs = isForeign(name) ? `${name} (a module, or another product)` : neededText(name, originOf(name));
    const outcome = COMPUTED.has(name) ? computed(needs) : unheld(needs);
    return { rewrite: () => outcome };
  });
}

export interface RewritingOptions {
  readonly group: string;
  readonly unsupported: DestinationSpec["unsupported"];
  readonly divergence: DivergencePolicy;
  readonly log: Logger;
  /** Told of every command of which something was left out. */
  readonly count: (commands: number) => void;
}

/**
 * Makes of the commands of a source those that its destination has, where it is older or of the other fork. It stands behind the
 * projection, before anything is planned, judged or repaired, so that all behind it know only what the destination runs:
 *
 *     Redis 7.4   [UNLINK a][LMOVE a b RIGHT LEFT][SET k v PXAT 9]          previous 0, last 90
 *     Redis 3.2   [DEL a]   [RPOPLPUSH a b]       [SET k v][PEXPIREAT k 9]  the same ends of units
 *
 * A replication stream holds only what had an effect, in terms that lead to the same effect again; so conditions (NX, IFEQ, GT of one
 * member) have held, and answers (GET, CH) are nobody's. In order of preference: the command as it is; others that leave exactly the same;
 * where only the source knows what it leaves and `onDivergence: repair` is set, something that fails, so that its keys are taken from the
 * source; otherwise what `unsupported` says. Expiries are still the source's: they are shifted behind it.
 *
 * A command that no rule concerns is not looked at beyond its name, and for some of them a few words.
 */
export class Rewriting {
  readonly #rules: readonly (Rule | null)[];
  readonly #abilities: Abilities;
  readonly #options: RewritingOptions;
  /** 1 where a name of such a length and first letter has a rule: most commands are let through by that alone. */
  readonly #looks = new Uint8Array(LOOKS);
  #named = 0;

  constructor(abilities: Abilities, options: RewritingOptions) {
    this.#abilities = abilities;
    this.#options = options;
    this.#rules = rulesFor(abilities);
    for (const [id, rule] of this.#rules.entries()) {
      const name = commandTable.names[id] as string;
      if (rule !== null) this.#looks[lookOf(name.length, name.charCodeAt(0))] = 1;
    }
  }

  /**
   * What the destination gets of the rows from `slice.from` on; the slice itself where it takes all of them. Throws `Halt` DST-026 at a
   * command that it lacks, where nothing may be left out.
   */
  rewrite(slice: ChangeSlice, origin: SliceOrigin): ChangeSlice {
    const { rows, body, from } = slice;
    let at = 0;
    for (let row = 0; row < from; row++) at += rows.lengths[row] as number;
    let changed: ProjectedSlice | null = null;
    for (let row = from; row < rows.count; row++) {
      const length = rows.lengths[row] as number;
      const outcome = this.#outcomeOf(body, at, length);
      if (outcome !== null) {
        changed ??= keptUntil(slice, row);
        for (const args of this.#commandsFor(outcome, body.subarray(at, at + length), row, slice, origin)) {
          changed.replace(row, { db: rows.dbs[row] as number, args, key: null });
        }
      } else changed?.keep(row, at, rows.dbs[row] as number);
      if (((rows.flags[row] as number) & ChangeFlag.last) !== 0) changed?.endUnit();
      at += length;
    }
    if (changed === null) return slice;
    changed.endUnit();
    return { rows: changed.rows, body: changed.body(), from: 0 };
  }

  /** Null for a command that stays as it is. */
  #outcomeOf(body: Buffer, at: number, length: number): Outcome | null {
    // `*<arguments>\r\n$<bytes>\r\n` and the name.
    const first = lineEnd(body, at);
    const name = lineEnd(body, first);
    const size = numberIn(body, first, name);
    if (this.#looks[lookOf(size, body[name] as number)] === 0) return null;
    const id = commandTable.find(body, name, name + size);
    const rule = id < 0 ? null : (this.#rules[id] as Rule | null);
    if (rule === null) return null;
    if (rule.words !== undefined && !hasWord(body, name + size + 2, numberIn(body, at, first), rule.words)) return null;
    const outcome = rule.rewrite(argumentsOf(body.subarray(at, at + length)));
    return outcome.kind === "native" ? null : outcome;
  }

  #commandsFor(outcome: Outcome, raw: Buffer, row: number, slice: ChangeSlice, origin: SliceOrigin): readonly Arguments[] {
    if (outcome.kind === "native") return [];
    if (outcome.kind === "exact") return outcome.commands;
    const framer = framed(raw);
    const keys = keysOf(framer);
    const { unsupported, divergence, group, log, count } = this.#options;
    if (outcome.kind === "computed" && divergence === "repair" && keys.length > 0 && this.#abilities.hasCommand("EVAL"))
      return [["EVAL", REFUSED, keys.length, ...keys, outcome.needs]];
    const where = whereText(keys, slice.rows.dbs[row] as number);
    if (unsupported === "halt") {
      const { rows } = slice;
      const end = origin.batch.part === null ? origin.batch.previous + (rows.ends[row] as number) : origin.batch.last;
      const lacks = `${group} lacks ${outcome.needs}, of the unit of lane ${origin.label} that ends at offset ${end}`;
      throw new Halt("DST-026", `${lacks}: ${where}`);
    }
    count(1);
    if (this.#named++ < MOST_NAMED)
      log.warn({ code: "DST-026" }, `${group} lacks ${outcome.needs}, which is left out: ${where}`);
    return outcome.kind === "unheld" ? outcome.rest : [];
  }
}

/** The rows before `row`, as they are. */
function keptUntil({ rows, body, from }: ChangeSlice, row: number): ProjectedSlice {
  const kept = new ProjectedSlice(rows, body);
  let at = 0;
  for (let before = 0; before < row; before++) {
    if (before >= from) {
      kept.keep(before, at, rows.dbs[before] as number);
      if (((rows.flags[before] as number) & ChangeFlag.last) !== 0) kept.endUnit();
    }
    at += rows.lengths[before] as number;
  }
  return kept;
}

/** `letter`: the first of the name, in any case. */
function lookOf(length: number, letter: number): number {
  return ((length << LETTER_BITS) | (letter & LETTER_MASK)) & (LOOKS - 1);
}

/** Behind the line that begins at `at`. */
function lineEnd(body: Buffer, at: number): number {
  let end = at;
  while (body[end] !== LF) end++;
  return end + 1;
}

/** The number of a line such as `$12\r\n`. */
function numberIn(body: Buffer, at: number, end: number): number {
  let number = 0;
  for (let digit = at + 1; digit < end - 2; digit++) number = number * 10 + (body[digit] as number) - ZERO;
  return number;
}

/** Whether one of the words stands among the arguments; `at`: where argument 1 begins. */
function hasWord(body: Buffer, at: number, argc: number, { from, among }: NonNullable<Rule["words"]>): boolean {
  if (argc <= from) return false;
  let line = at;
  for (let index = 1; index < argc; index++) {
    const start = lineEnd(body, line);
    const size = numberIn(body, line, start);
    const mayBe = index >= from && size > 1 && size <= LONGEST_WORD;
    if (mayBe && among.has(body.toString("latin1", start, start + size).toUpperCase())) return true;
    line = start + size + 2;
  }
  return false;
}

function framed(raw: Buffer): CommandFramer {
  const framer = new CommandFramer();
  framer.push(raw);
  if (!framer.next()) throw new Error("expected a whole command");
  return framer;
}

function argumentsOf(raw: Buffer): Buffer[] {
  const framer = framed(raw);
  return Array.from({ length: framer.argc }, (_, index) =>
    framer.buffer.subarray(framer.argStart(index), framer.argEnd(index)),
  );
}

/** Keys that the command names; none where that can't be told. */
function keysOf(command: CommandFramer & FramedCommand): Buffer[] {
  const id = commandTable.idOfCommand(command);
  const found = new Int32Array(command.argc);
  const count = id < 0 ? 0 : commandTable.keyArgs(id, command, found);
  return Array.from(found.subarray(0, Math.max(0, count)), (index) =>
    command.buffer.subarray(command.argStart(index), command.argEnd(index)),
  );
}

function whereText(keys: readonly Buffer[], db: number): string {
  const [first] = keys;
  if (first === undefined) return `in database ${db}`;
  return `key ${printable(first.toString("latin1", 0, SHOWN_BYTES))} of database ${db}`;
}
