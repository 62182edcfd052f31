import { CommandKind } from "./command-kind.ts";
import { commandTable } from "./command-table.ts";

/** First versions that have something, `major * 10000 + minor * 100 + patch`; null: none has it. */
export interface Origin {
  readonly redis: number | null;
  readonly valkey: number | null;
}

/** Valkey is Redis 7.2.4 with another name: what is not younger it always had. */
const FORK = 70_204;

/** As in "6.2": of Redis, and of Valkey where that is not the fork's own; `"-"`: never. */
export function since(redis: string, valkey?: string): Origin {
  const [ofRedis, ofValkey] = [versionOf(redis), valkey === undefined ? null : versionOf(valkey)];
  const isOlder = ofRedis !== null && ofRedis <= FORK;
  return { redis: ofRedis, valkey: isOlder ? 0 : ofValkey };
}

function versionOf(text: string): number | null {
  if (text === "-") return null;
  const [major = 0, minor = 0, patch = 0] = text.split(".").map(Number);
  return major * 10_000 + minor * 100 + patch;
}

/**
 * Where write commands that are younger than 2.8 come from (`since` in src/commands/*.json of Redis 8.10 and of Valkey 9.2). All
 * others every server has.
 */
const ORIGINS: readonly (readonly [Origin, string])[] = [
  [since("3.2"), "GEOADD GEORADIUS GEORADIUSBYMEMBER BITFIELD"],
  [since("4.0"), "UNLINK SWAPDB"],
  [since("5.0"), "XADD XTRIM XDEL XACK XCLAIM XGROUP XSETID XREADGROUP ZPOPMIN ZPOPMAX"],
  [since("6.2"), "COPY GETDEL GETEX GEOSEARCHSTORE LMOVE ZRANGESTORE ZDIFFSTORE XAUTOCLAIM"],
  [since("7.0"), "FUNCTION LMPOP ZMPOP SPUBLISH FCALL"],
  [since("7.4", "9.0"), "HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT HPERSIST"],
  [since("8.0", "9.0"), "HSETEX HGETEX"],
  [since("8.0", "9.1"), "HGETDEL"],
  [since("8.0"), "VADD VREM VSETATTR SFLUSH"],
  [since("8.2"), "XDELEX XACKDEL"],
  [since("8.4"), "DELEX"],
  [since("-", "9.0"), "DELIFEQ"],
  [since("8.4", "9.1"), "MSETEX"],
  [since("8.6"), "XCFGSET XIDMPRECORD"],
  [since("8.8"), "XNACK ARDEL ARDELRANGE ARINSERT ARMSET ARRING ARSEEK ARSET"],
  [since("8.8", "9.2"), "INCREX"],
  [since("8.10"), "LMOVEM HIMPORT"],
];

const BY_NAME: ReadonlyMap<string, Origin> = new Map(
  ORIGINS.flatMap(([origin, names]) => names.split(" ").map((name): [string, Origin] => [name, origin])),
);

/** Null for a command that every server has, and for one of a module, of which no version tells. */
export function originOf(name: string): Origin | null {
  return BY_NAME.get(name) ?? null;
}

/** Of a module, or of Tair: no version of Redis or Valkey tells whether a server has it. */
export function isForeign(name: string): boolean {
  return FOREIGN.has(name);
}

const TAIR_NAMES = /^(?:EX(?!EC$|ISTS$|PIRE)|CAS$|CAD$)/;
const FOREIGN: ReadonlySet<string> = new Set(commandTable.names.filter((name) => name.includes(".") || TAIR_NAMES.test(name)));

/** What a destination is asked for when a lane opens: every write that it may lack, by version or because somebody took it away. */
export const askedCommands: ReadonlySet<string> = new Set([
  ...[...BY_NAME.keys()].filter((name) => commandTable.idOf(name) >= 0),
  ...commandTable.names.filter((name, id) => FOREIGN.has(name) && isWritten(id)),
  "RESTORE",
  "EVAL",
]);

function isWritten(id: number): boolean {
  const kind = commandTable.kind[id];
  return kind === CommandKind.write || kind === CommandKind.barrier;
}

/** `Redis 6.2, Valkey 7.2`. */
function originText({ redis, valkey }: Origin): string {
  const parts: string[] = [];
  if (redis !== null) parts.push(`Redis ${shortVersion(redis)}`);
  if (valkey !== null) parts.push(`Valkey ${shortVersion(Math.max(valkey, FORK))}`);
  return parts.join(", ");
}

function shortVersion(version: number): string {
  return `${Math.floor(version / 10_000)}.${Math.floor(version / 100) % 100}`;
}

/** They reach a destination as other commands, which leave the same behind: what is replicated in their place, or written for what is. */
const REPLACED: ReadonlySet<string> = new Set(
  (
    "UNLINK GETDEL GETEX DELEX DELIFEQ MSETEX LMOVE BLMOVE LMPOP BLMPOP ZMPOP BZMPOP BZPOPMIN BZPOPMAX ZPOPMIN ZPOPMAX ZRANGESTORE ZDIFFSTORE " +
    "HGETDEL HPERSIST RESTORE XREADGROUP XAUTOCLAIM"
  ).split(" "),
);
/** So do most forms of these. */
const MOSTLY_REPLACED: ReadonlySet<string> = new Set("COPY GEOSEARCHSTORE XDELEX XACKDEL".split(" "));
/** And of these, where fields of a hash can expire at all. */
const BY_FIELD_EXPIRIES: ReadonlySet<string> = new Set("HSETEX HGETEX HEXPIRE HPEXPIRE HEXPIREAT".split(" "));

/** Whether a destination that lacks a command gets others in its place that leave the same. `has`: whether it has one, by name in capitals. */
export function replacementOf(name: string, has: (name: string) => boolean): "whole" | "most" | "none" {
  if (REPLACED.has(name) || (BY_FIELD_EXPIRIES.has(name) && has("HPEXPIREAT"))) return "whole";
  return MOSTLY_REPLACED.has(name) ? "most" : "none";
}

/** What a command, or a form of it, needs, for people: `LMOVE (Redis 6.2, Valkey 7.2)`. */
export function neededText(what: string, origin: Origin | null): string {
  return origin === null ? what : `${what} (${originText(origin)})`;
}
