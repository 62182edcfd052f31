import { hasFieldExpiries } from "../rdb/field-expiries.ts";
import type { FramedCommand } from "../resp/command-framer.ts";
import { isWord, smallNumber } from "./argument.ts";
import { commandTable } from "./command-table.ts";

/** How a command says when something expires. `seconds` and `relative` describe the number as it stands. */
export interface ExpiryPlace {
  /** Argument that holds the number. */
  readonly valueAt: number;
  readonly inSeconds: boolean;
  /** Counts from the moment of execution; else from the epoch. */
  readonly isRelative: boolean;
  readonly form: ExpiryForm;
}

/**
 * `option`: behind EX, PX, EXAT or PXAT. `expire`, `hexpire`: argument 2 of EXPIRE and HEXPIRE and their relatives.
 * `setex`: argument 2 of SETEX and PSETEX. `getex`: an option of GETEX. `restore`: argument 2 of RESTORE; ABSTTL says that it is absolute.
 * `exhexpire`: argument 3 of TairHash's EXHEXPIRE and its relatives.
 */
export type ExpiryForm = "option" | "expire" | "hexpire" | "exhexpire" | "setex" | "getex" | "restore";

/** Finds the expiry of one framed command; null when it carries none (no option, KEEPTTL, PERSIST, a RESTORE with 0). */
type ExpiryRule = (command: FramedCommand) => ExpiryPlace | null;

function fixed(form: ExpiryForm, inSeconds: boolean, isRelative: boolean, valueAt = 2): ExpiryRule {
  const place: ExpiryPlace = { valueAt, inSeconds, isRelative, form };
  return (command) => (command.argc > valueAt ? place : null);
}

/** The place when the argument at `index` is an expiry option with a number behind it. */
function optionAt(command: FramedCommand, index: number, form: ExpiryForm): ExpiryPlace | null {
  const length = command.argLengths[index]!;
  if ((length !== 2 && length !== 4) || index + 1 >= command.argc) return null;
  const isAbsolute = length === 4;
  if (isWord(command, index, isAbsolute ? "EXAT" : "EX"))
    return { valueAt: index + 1, inSeconds: true, isRelative: !isAbsolute, form };
  if (isWord(command, index, isAbsolute ? "PXAT" : "PX"))
    return { valueAt: index + 1, inSeconds: false, isRelative: !isAbsolute, form };
  return null;
}

/** Options of SET whose operand could look like another option (Valkey 8.1 and Redis 8.4: compare and set). */
const SET_COMPARISONS = ["IFEQ", "IFNE", "IFDEQ", "IFDNE"] as const;

function setRule(command: FramedCommand): ExpiryPlace | null {
  for (let index = 3; index < command.argc; index++) {
    const place = optionAt(command, index, "option");
    if (place !== null) return place;
    if (SET_COMPARISONS.some((word) => isWord(command, index, word))) index++;
  }
  return null;
}

/** Commands with options from an argument on, of which the others have no operand that could look like an expiry option. */
function optionsFrom(from: number, form: ExpiryForm = "option"): ExpiryRule {
  return (command) => {
    for (let index = from; index < command.argc; index++) {
      const place = optionAt(command, index, form);
      if (place !== null) return place;
    }
    return null;
  };
}

/** HSETEX and HGETEX: options stand before or behind `FIELDS <count> <field>…`, whose arguments are data. */
function fieldsRule(argumentsPerField: number): ExpiryRule {
  return (command) => {
    for (let index = 2; index < command.argc; index++) {
      if (isWord(command, index, "FIELDS")) {
        const count = smallNumber(command, index + 1);
        if (count < 0) return null;
        index += 1 + count * argumentsPerField;
        continue;
      }
      const place = optionAt(command, index, "option");
      if (place !== null) return place;
    }
    return null;
  };
}

/** MSETEX <count> <key> <value>… [options]. */
function msetexRule(command: FramedCommand): ExpiryPlace | null {
  const count = smallNumber(command, 1);
  if (count < 0) return null;
  for (let index = 2 + count * 2; index < command.argc; index++) {
    const place = optionAt(command, index, "option");
    if (place !== null) return place;
  }
  return null;
}

function restoreRule(command: FramedCommand): ExpiryPlace | null {
  if (command.argc < 4 || smallNumber(command, 2) === 0) return null;
  let isRelative = true;
  for (let index = 4; index < command.argc; index++) {
    if (isWord(command, index, "ABSTTL")) isRelative = false;
    else if (isWord(command, index, "IDLETIME") || isWord(command, index, "FREQ")) index++;
  }
  return { valueAt: 2, inSeconds: false, isRelative, form: "restore" };
}

const rules: Readonly<Record<string, ExpiryRule>> = {
  SET: setRule,
  GETEX: optionsFrom(2, "getex"),
  INCREX: optionsFrom(2),
  SETEX: fixed("setex", true, true),
  PSETEX: fixed("setex", false, true),
  EXPIRE: fixed("expire", true, true),
  PEXPIRE: fixed("expire", false, true),
  EXPIREAT: fixed("expire", true, false),
  PEXPIREAT: fixed("expire", false, false),
  HEXPIRE: fixed("hexpire", true, true),
  HPEXPIRE: fixed("hexpire", false, true),
  HEXPIREAT: fixed("hexpire", true, false),
  HPEXPIREAT: fixed("hexpire", false, false),
  RESTORE: restoreRule,
  "RESTORE-ASKING": restoreRule,
  HSETEX: fieldsRule(2),
  HGETEX: fieldsRule(1),
  MSETEX: msetexRule,
  // TairString: <key> <value> options. TairHash: <key> <field> <value> options. Their other options have numbers for operands.
  EXSET: optionsFrom(3),
  EXINCRBY: optionsFrom(3),
  EXINCRBYFLOAT: optionsFrom(3),
  EXHSET: optionsFrom(4),
  EXHINCRBY: optionsFrom(4),
  EXHINCRBYFLOAT: optionsFrom(4),
  EXHEXPIRE: fixed("exhexpire", true, true, 3),
  EXHPEXPIRE: fixed("exhexpire", false, true, 3),
  EXHEXPIREAT: fixed("exhexpire", true, false, 3),
  EXHPEXPIREAT: fixed("exhexpire", false, false, 3),
  // TairCpc: <key> <item> options.
  "CPC.UPDATE": optionsFrom(3),
  "CPC.UPDATE2EST": optionsFrom(3),
  "CPC.UPDATE2JUD": optionsFrom(3),
};

/** By number in `commandTable`. */
const ruleById: readonly (ExpiryRule | undefined)[] = commandTable.names.map((name) => rules[name]);
const SET_ID = commandTable.idOf("SET");

/**
 * Where the command says when something expires, or null when it does not. `id` is its number in `commandTable` (or in a table made from it).
 * A SET without options costs two comparisons.
 */
export function expiryRule(id: number, command: FramedCommand): ExpiryPlace | null {
  if (id === SET_ID && command.argc === 3) return null;
  return ruleById[id]?.(command) ?? null;
}

/** True when the command carries an expiry, relative or absolute; those of a hash's fields inside a payload count. */
export function carriesExpiry(id: number, command: FramedCommand): boolean {
  if (id === SET_ID && command.argc === 3) return false;
  const rule = ruleById[id];
  return rule !== undefined && (rule(command) !== null || restoresFieldExpiries(id, command));
}

/** True for a RESTORE whose payload may hold expiries of fields (argument 3; its first byte is the type). */
export function restoresFieldExpiries(id: number, command: FramedCommand): boolean {
  if (ruleById[id] !== restoreRule || command.argc < 4 || command.argLengths[3] === 0) return false;
  return hasFieldExpiries(command.buffer[command.argStarts[3]!]!);
}
