import { commandTable } from "./command-table.ts";

/**
 * What a command does to its keys, for whoever gets only some of them: which part of it is exact.
 *
 *     one            names one key in every form            that key's, or nothing
 *     none           names no key                           not by keys
 *     apart          changes each key by itself             the keys in scope
 *     writes-first   changes its first key, reads others    nothing without the first; whole with all; else unclear
 *     writes-rest    reads its first key, changes others    nothing without the others; whole with all; else unclear
 *     sorts          as writes-rest; may read keys that only its patterns name
 *     renames        moves a key to another name            the first alone: it is deleted; the second alone: unclear
 *     copies         copies a key to another name           nothing without the second; the second alone: unclear
 *     script         may change any key                     whole with all that it names; some, or none named: unclear
 *     together       changes or reads several keys at once  whole with all; some: unclear
 */
export type KeySharing =
  | "one"
  | "none"
  | "apart"
  | "writes-first"
  | "writes-rest"
  | "sorts"
  | "renames"
  | "copies"
  | "script"
  | "together";

/** Arguments of one key of commands that change each of their keys by itself, with nothing behind the last. */
const apart: Readonly<Record<string, number>> = {
  DEL: 1,
  UNLINK: 1,
  TOUCH: 1,
  MSET: 2,
  // Replicated only where it found none of its keys.
  MSETNX: 2,
  "JSON.MSET": 3,
  "TS.MADD": 3,
};

const WRITES_FIRST =
  "SINTERSTORE SUNIONSTORE SDIFFSTORE ZINTERSTORE ZUNIONSTORE ZDIFFSTORE ZRANGESTORE GEOSEARCHSTORE BITOP PFMERGE " +
  "CMS.MERGE TDIGEST.MERGE EXZUNIONSTORE EXZINTERSTORE EXZDIFFSTORE TR.BITOP";

const named: Readonly<Record<string, KeySharing>> = {
  ...Object.fromEntries(Object.keys(apart).map((name) => [name, "apart"])),
  ...Object.fromEntries(WRITES_FIRST.split(" ").map((name) => [name, "writes-first"])),
  GEORADIUS: "writes-rest",
  GEORADIUSBYMEMBER: "writes-rest",
  SORT: "sorts",
  RENAME: "renames",
  RENAMENX: "renames",
  COPY: "copies",
  EVAL: "script",
  EVALSHA: "script",
  FCALL: "script",
};

/**
 * Commands on several keys that no stream carries as they were called: servers replicate what they did, by commands on one key (Redis
 * t_list.c, t_zset.c, t_stream.c, `rewriteClientCommandVector` and `alsoPropagate`), or as DEL, or not at all.
 */
const NEVER_REPLICATED: ReadonlySet<string> = new Set(
  "BLPOP BRPOP BZPOPMIN BZPOPMAX LMPOP BLMPOP ZMPOP BZMPOP XREADGROUP PFCOUNT MIGRATE TOUCH".split(" "),
);

const ids = new Map(Object.entries(named).map(([name, sharing]) => [commandTable.idOf(name), sharing]));
const steps = new Map(Object.entries(apart).map(([name, step]) => [commandTable.idOf(name), step]));

/** `id`: of `commandTable`; of a command that is in no table (-1): "together". */
export function keySharing(id: number): KeySharing {
  const sharing = ids.get(id);
  if (sharing !== undefined) return sharing;
  if (id < 0) return "together";
  if (commandTable.hasOneKey(id)) return "one";
  return commandTable.hasKeys(id) ? "together" : "none";
}

/** How many arguments belong to one key of a command that is taken apart key by key; 0 of any other. */
export function argsOfKey(id: number): number {
  return steps.get(id) ?? 0;
}

/** Whether a source sends this command with several keys to its replicas. False: what clients call by this name arrives as others on one key. */
export function isReplicatedWithKeys(name: string): boolean {
  return !NEVER_REPLICATED.has(name);
}
