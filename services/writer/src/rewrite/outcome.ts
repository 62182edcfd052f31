import type { CommandArgument } from "@sluice/redis";
import type { Abilities } from "./abilities.ts";

export type Arguments = readonly CommandArgument[];

/**
 * What a command of the source becomes for a destination that lacks it, or a form of it.
 *
 * - `native`: as it is, the destination takes it.
 * - `exact`: these in its place, which leave the same behind. None: what it changes does not exist there.
 * - `computed`: what it leaves follows from values that only the source knows any more.
 * - `unheld`: the destination can't hold what it leaves; `rest`: the part that it can.
 */
export type Outcome =
  | { readonly kind: "native" }
  | { readonly kind: "exact"; readonly commands: readonly Arguments[] }
  | { readonly kind: "computed"; readonly needs: string }
  | { readonly kind: "unheld"; readonly needs: string; readonly rest: readonly Arguments[] };

/** How a command is to be read, with its arguments, the name first. They are views. */
export type Rewrite = (args: readonly Buffer[]) => Outcome;

export interface Rule {
  readonly rewrite: Rewrite;
  /** Only a command with one of these words (in capitals) among its arguments from `from` on can concern it; every one where absent. */
  readonly words?: { readonly from: number; readonly among: ReadonlySet<string> };
}

/** The rule for a destination; null where it has all forms of the command. */
export type RuleMaker = (abilities: Abilities) => Rule | null;

export const NATIVE: Outcome = { kind: "native" };

export function exact(...commands: readonly Arguments[]): Outcome {
  return { kind: "exact", commands };
}

export function computed(needs: string): Outcome {
  return { kind: "computed", needs };
}

export function unheld(needs: string, ...rest: readonly Arguments[]): Outcome {
  return { kind: "unheld", needs, rest };
}

/** An argument as a word of the command's syntax: in capitals; empty beyond the last. */
export function wordAt(args: readonly Buffer[], index: number): string {
  const argument = args[index];
  // No option is longer; data may be.
  return argument === undefined || argument.length > 16 ? "" : argument.toString("latin1").toUpperCase();
}

/** An argument as text, for numbers. */
export function textAt(args: readonly Buffer[], index: number): string {
  return (args[index] ?? Buffer.alloc(0)).toString("latin1");
}

/** More than anything holds; negative it is still a number that servers read. */
const MOST_COUNTED = 1e15;

/** The argument as a whole number that counts something, at most 10^15: many ask for all there is by the largest number; -1 for anything else. */
export function countAt(args: readonly Buffer[], index: number): number {
  const text = textAt(args, index);
  return /^\d{1,19}$/.test(text) ? Math.min(Number(text), MOST_COUNTED) : -1;
}

export function wordsFrom(from: number, words: string): { from: number; among: ReadonlySet<string> } {
  return { from, among: new Set(words.split(" ")) };
}
