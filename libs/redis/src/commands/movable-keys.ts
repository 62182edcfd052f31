import type { FramedCommand } from "../resp/command-framer.ts";
import { isWord, smallNumber, textOf } from "./argument.ts";

/** Result of a key rule for a command that the server itself would refuse. */
export const MALFORMED = -1;

/** Writes the argument indexes of the keys into `out` as far as it reaches and returns how many there are, or {@link MALFORMED}. */
export type KeyRule = (command: FramedCommand, out: Int32Array) => number;

/** `… <numkeys> <key>…` with the count at `countAt`, every `step`th argument behind it being a key, and maybe a destination at `destinationAt`. */
function counted(countAt: number, destinationAt = 0, step = 1): KeyRule {
  return (command, out) => {
    const count = smallNumber(command, countAt);
    if (count < 0 || countAt + count * step >= command.argc) return MALFORMED;
    let found = 0;
    if (destinationAt > 0) out[found++] = destinationAt;
    for (let index = 0; index < count; index++) out[found++] = countAt + 1 + index * step;
    return found;
  };
}

/** SORT key [BY p] [LIMIT o n] [GET p]… [STORE key]: the last STORE counts; patterns name keys that nobody can tell (db.c, sortGetKeys). */
function sortKeys(command: FramedCommand, out: Int32Array): number {
  if (command.argc < 2) return MALFORMED;
  let destination = 0;
  for (let index = 2; index < command.argc; index++) {
    if (isWord(command, index, "LIMIT")) index += 2;
    else if (isWord(command, index, "GET") || isWord(command, index, "BY")) index += 1;
    else if (isWord(command, index, "STORE") && index + 1 < command.argc) destination = ++index;
  }
  out[0] = 1;
  if (destination === 0) return 1;
  out[1] = destination;
  return 2;
}

/**
 * True for SORT whose BY or GET takes what it reads from keys that no argument names: without `*` there is nothing to be read (sort.c,
 * lookupKeyByPattern).
 */
export function sortsByPattern(command: FramedCommand): boolean {
  for (let index = 2; index < command.argc; index++) {
    if (isWord(command, index, "LIMIT")) index += 2;
    else if (isWord(command, index, "STORE")) index += 1;
    else if (isWord(command, index, "GET") || isWord(command, index, "BY")) {
      index += 1;
      if (index < command.argc && textOf(command, index).includes("*")) return true;
    }
  }
  return false;
}

/**
 * GEORADIUS key … [STORE key] [STOREDIST key]. The server writes the last one only, but takes all of them for keys (its key specifications),
 * and so do cluster nodes when they check slots.
 */
function geoRadiusKeys(command: FramedCommand, out: Int32Array): number {
  if (command.argc < 5) return MALFORMED;
  out[0] = 1;
  let found = 1;
  for (let index = 5; index + 1 < command.argc; index++) {
    if (isWord(command, index, "STORE") || isWord(command, index, "STOREDIST")) out[found++] = ++index;
  }
  return found;
}

/** XREADGROUP GROUP group consumer [options] STREAMS key… id… (db.c, xreadGetKeys). */
function streamKeys(command: FramedCommand, out: Int32Array): number {
  let from = -1;
  for (let index = 1; index < command.argc && from < 0; index++) {
    if (isWord(command, index, "BLOCK") || isWord(command, index, "COUNT")) index += 1;
    else if (isWord(command, index, "GROUP")) index += 2;
    else if (isWord(command, index, "STREAMS")) from = index + 1;
    else if (!isWord(command, index, "NOACK")) return MALFORMED;
  }
  const rest = command.argc - from;
  if (from < 0 || rest === 0 || rest % 2 !== 0) return MALFORMED;
  for (let index = 0; index < rest / 2; index++) out[index] = from + index;
  return rest / 2;
}

/** MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p] [AUTH2 u p] [KEYS key…] (db.c, migrateGetKeys). */
function migrateKeys(command: FramedCommand, out: Int32Array): number {
  if (command.argc < 6) return MALFORMED;
  for (let index = 6; index < command.argc; index++) {
    if (isWord(command, index, "AUTH")) index += 1;
    else if (isWord(command, index, "AUTH2")) index += 2;
    else if (isWord(command, index, "KEYS")) {
      if (command.argLengths[3] !== 0) return MALFORMED;
      for (let key = index + 1; key < command.argc; key++) out[key - index - 1] = key;
      return command.argc - index - 1;
    }
  }
  out[0] = 3;
  return 1;
}

/** TR.BITOP destination operation key… */
function bitopKeys(command: FramedCommand, out: Int32Array): number {
  if (command.argc < 4) return MALFORMED;
  out[0] = 1;
  for (let index = 3; index < command.argc; index++) out[index - 2] = index;
  return command.argc - 2;
}

/** Every `step`th argument from `first` to `last`, which counts from the end when it is negative: what three numbers of COMMAND mean. */
export function rangeKeys(first: number, last: number, step: number, command: FramedCommand, out: Int32Array): number {
  const end = last < 0 ? last + command.argc : last;
  // With a step of 2 (MSET) the values are inside the range: it must hold whole pairs.
  if (end < first || end >= command.argc || (end - first + 1) % step !== 0) return MALFORMED;
  let found = 0;
  for (let index = first; index <= end; index += step) out[found++] = index;
  return found;
}

/** Rules for the commands whose keys COMMAND's three numbers do not tell. */
export const movableKeyRules: Readonly<Record<string, KeyRule>> = {
  EVAL: counted(2),
  EVALSHA: counted(2),
  FCALL: counted(2),
  LMPOP: counted(1),
  ZMPOP: counted(1),
  BLMPOP: counted(2),
  BZMPOP: counted(2),
  MSETEX: counted(1, 0, 2),
  ZUNIONSTORE: counted(2, 1),
  ZINTERSTORE: counted(2, 1),
  ZDIFFSTORE: counted(2, 1),
  SORT: sortKeys,
  GEORADIUS: geoRadiusKeys,
  GEORADIUSBYMEMBER: geoRadiusKeys,
  XREADGROUP: streamKeys,
  MIGRATE: migrateKeys,
  "CMS.MERGE": counted(2, 1),
  "TDIGEST.MERGE": counted(2, 1),
  EXZUNIONSTORE: counted(2, 1),
  EXZINTERSTORE: counted(2, 1),
  EXZDIFFSTORE: counted(2, 1),
  "TR.BITOP": bitopKeys,
};
