import { printable } from "@sluice/runtime";

/**
 * What an error reply of a destination means for the unit behind it.
 *
 * - `wait`: the server can't for now; nothing of the group was applied; the same again later.
 * - `redirect`: another node serves the slot.
 * - `diverged`: the state of the key is not what the source's was when it ran the command.
 * - `halt`: it will not work before somebody changes something; also everything that is not known (H43: fail closed).
 */
export type Verdict = "wait" | "redirect" | "diverged" | "halt";

/** By the first word of the error. */
const BY_CODE: Readonly<Record<string, Verdict>> = {
  LOADING: "wait",
  BUSY: "wait",
  CLUSTERDOWN: "wait",
  MASTERDOWN: "wait",
  READONLY: "wait",
  NOREPLICAS: "wait",
  MISCONF: "wait",
  OOM: "wait",
  UNBLOCKED: "wait",
  MOVED: "redirect",
  ASK: "redirect",
  TRYAGAIN: "redirect",
  WRONGTYPE: "diverged",
  BUSYKEY: "diverged",
  BUSYGROUP: "diverged",
  NOGROUP: "diverged",
  NOSCRIPT: "diverged",
  INVALIDOBJ: "diverged",
  /** Of the scripts that stand for commands which the destination lacks (rewrite/scripts.ts). */
  REWRITTEN: "diverged",
  NOAUTH: "halt",
  NOPERM: "halt",
  WRONGPASS: "halt",
  CROSSSLOT: "halt",
};

/** Errors with the plain code ERR that speak of a key's state, by how they begin (Redis server.c, object.c, geo.c, t_*.c, vset.c). */
const STATE_ERRORS = [
  "value is not an integer",
  "value is not a valid float",
  "hash value is not",
  "increment or decrement would overflow",
  "increment would produce",
  "no such key",
  "index out of range",
  "The ID specified in XADD",
  "The ID specified in XSETID",
  "The entries_added specified in XSETID",
  "The stream has exhausted the last possible ID",
  "The XGROUP subcommand requires the key to exist",
  "Target key name already exists",
  "source and destination objects are the same",
  "string exceeds maximum allowed size",
  "bit offset is not an integer",
  "invalid stream ID",
  "resulting score is not a number",
  "could not decode requested zset member",
  "Vector dimension mismatch",
  "asked quantization mismatch",
  "asked M value mismatch",
  "cannot add projection to exist",
];

/** What a server says to a connection that it has no place for, before it closes it (Redis networking.c, acceptCommonHandler). */
const FULL = "ERR max number of clients ";

/** `error`: the whole error reply, without the leading minus, `CODE message`. */
export function verdictOf(error: string): Verdict {
  const aborted = /^EXECABORT Transaction discarded because of: (.*)$/s.exec(error);
  if (aborted !== null) return verdictOf(aborted[1] as string);
  // Redis before 7.0 wraps what a script's call ran into: `ERR Error running script (call to f_…): @user_script:6: -OOM command …`.
  const wrapped = /^ERR Error running script .*?@user_script: ?\d+: (?:@user_script: ?\d+: )?-?([A-Z]{3,} .*)$/s.exec(error);
  if (wrapped !== null) return verdictOf(wrapped[1] as string);
  // What `pcall` gives there for an error of the script's own making.
  const pcalled = /^@user_script: ?\d+: -?([A-Z]{3,} .*)$/s.exec(error);
  if (pcalled !== null) return verdictOf(pcalled[1] as string);
  const code = /^[A-Z]+/.exec(error)?.[0] ?? "";
  const known = BY_CODE[code];
  if (known !== undefined) return known;
  if (error.startsWith(FULL)) return "wait";
  if (code === "ERR" && STATE_ERRORS.some((beginning) => error.startsWith(beginning, 4))) return "diverged";
  return "halt";
}

/** Longer than any error of a server that says what is wrong. */
const MOST_QUOTED = 200;

/**
 * An error reply as it may stand in logs, records and answers: control characters escaped, at most 200 characters of it, and
 * without the arguments that servers quote for a command they don't know (Redis server.c, `with args beginning with:`): they
 * are the user's data.
 */
export function quotable(error: string): string {
  const args = error.indexOf(", with args beginning with");
  return printable((args < 0 ? error : error.slice(0, args)).slice(0, MOST_QUOTED));
}
