import type { Call } from "./call.ts";
import type { Encoded } from "./sim-reply.ts";

/**
 * What a command is, as letters (the flags of Redis' own command table):
 * `w` write · `r` read · `m` refused when memory is short · `s` not in scripts · `l` while loading, too · `t` on a stale replica,
 * too · `b` while a script runs, too · `M` not in transactions · `c` its keys are ASKING by themselves
 */
export type CommandFlags = string;

/** Positions of the keys: first, last (negative: from the end), step; or a function of the arguments; null: it has none. */
export type KeyPositions =
  | readonly [first: number, last: number, step: number]
  | ((args: readonly string[]) => number[])
  | null;

export interface SimCommand {
  readonly name: string;
  /** Number of arguments with the name; negative: at least so many. */
  readonly arity: number;
  readonly isWrite: boolean;
  readonly isRead: boolean;
  readonly needsMemory: boolean;
  readonly isScriptable: boolean;
  readonly runsWhileLoading: boolean;
  readonly runsStale: boolean;
  readonly runsWhileBusy: boolean;
  readonly isTransactional: boolean;
  readonly isAsking: boolean;
  readonly keys: KeyPositions;
  readonly run: (call: Call) => Encoded;
}

export function command(
  name: string,
  arity: number,
  flags: CommandFlags,
  keys: KeyPositions,
  run: (call: Call) => Encoded,
): SimCommand {
  return {
    name,
    arity,
    isWrite: flags.includes("w"),
    isRead: flags.includes("r"),
    needsMemory: flags.includes("m"),
    isScriptable: !flags.includes("s"),
    runsWhileLoading: flags.includes("l"),
    runsStale: flags.includes("t"),
    runsWhileBusy: flags.includes("b"),
    isTransactional: !flags.includes("M"),
    isAsking: flags.includes("c"),
    keys,
    run,
  };
}

/** Whether so many arguments, the name included, may be given. */
export function hasArity({ arity }: SimCommand, count: number): boolean {
  return arity < 0 ? count >= -arity : count === arity;
}

/** The keys among the arguments of a call. */
export function keysOf({ keys }: SimCommand, args: readonly string[]): string[] {
  if (keys === null) return [];
  if (typeof keys === "function") return keys(args).map((at) => args[at] ?? "");
  const [first, last, step] = keys;
  const end = last < 0 ? args.length + last : last;
  if (first === end) return args.length > first ? [args[first] ?? ""] : [];
  const found: string[] = [];
  for (let at = first; at <= end && at < args.length; at += step) found.push(args[at] ?? "");
  return found;
}

/** Keys behind a count at `at`, and in front of them those at `before`. */
export function counted(at: number, ...before: number[]): (args: readonly string[]) => number[] {
  return (args) => {
    const count = Number(args[at] ?? 0);
    const known = Number.isInteger(count) ? Math.max(0, Math.min(count, args.length - at - 1)) : 0;
    return [...before, ...Array.from({ length: known }, (_, index) => at + 1 + index)];
  };
}
