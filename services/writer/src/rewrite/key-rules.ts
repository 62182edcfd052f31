import { neededText, originOf, since } from "@sluice/redis";
import type { Abilities } from "./abilities.ts";
import { computed, exact, NATIVE, textAt, unheld, wordAt, wordsFrom, type Outcome, type RuleMaker } from "./outcome.ts";
import { restored, restoredLibraries } from "./restored-value.ts";
import { COPY } from "./scripts.ts";

const EXPIRE_OPTIONS = since("7.0");
const ASYNC = since("4.0");
const SYNC = since("6.2");
const CLOCKS = since("3.2");

const unlink: RuleMaker = (abilities) =>
  abilities.hasCommand("UNLINK") ? null : { rewrite: ([, ...keys]) => exact(["DEL", ...keys]) };

/** NX, XX, GT, LT: what had no effect is not replicated, so they held. */
const expire: RuleMaker = (abilities) => {
  if (abilities.hasSince(EXPIRE_OPTIONS)) return null;
  return { rewrite: (args) => (args.length > 3 ? exact(args.slice(0, 3)) : NATIVE) };
};

/** ASYNC and SYNC say how, not what. */
function flush(at: number): RuleMaker {
  return (abilities) => {
    if (abilities.hasSince(SYNC)) return null;
    const words = wordsFrom(at, abilities.hasSince(ASYNC) ? "SYNC" : "SYNC ASYNC");
    return { words, rewrite: (args) => (words.among.has(wordAt(args, at)) ? exact(args.slice(0, at)) : NATIVE) };
  };
}

/** FLUSH of scripts has had ASYNC and SYNC since 6.2. */
const script: RuleMaker = (abilities) => {
  if (abilities.hasSince(SYNC)) return null;
  const words = wordsFrom(2, "SYNC ASYNC");
  return { words, rewrite: (args) => (wordAt(args, 1) === "FLUSH" ? exact(args.slice(0, 2)) : NATIVE) };
};

const copy: RuleMaker = (abilities) => (abilities.hasCommand("COPY") ? null : { rewrite: (args) => copied(args, abilities) });

function copied(args: readonly Buffer[], abilities: Abilities): Outcome {
  const [, from = "", to = ""] = args;
  let database = "";
  let replace = "";
  for (let index = 3; index < args.length; index++) {
    const word = wordAt(args, index);
    if (word === "DB") database = textAt(args, ++index);
    else if (word === "REPLACE") replace = word;
    else return NATIVE;
  }
  const isScripted = ["EVAL", "RESTORE"].every((name) => abilities.hasCommand(name)) && abilities.hasSince(CLOCKS);
  if (!isScripted) return computed(neededText("COPY", originOf("COPY")));
  return exact(["EVAL", COPY, 2, from, to, database, replace]);
}

const restore: RuleMaker = (abilities) => ({ rewrite: (args) => restored(args, abilities) });

/** FUNCTION RESTORE has a payload as RESTORE has; libraries have been the same since there are any. */
const functions: RuleMaker = (abilities) => ({
  words: wordsFrom(1, "RESTORE"),
  rewrite: (args) => (wordAt(args, 1) === "RESTORE" ? restoredLibraries(args, abilities) : NATIVE),
});

function whole(name: string): RuleMaker {
  return (abilities) => (abilities.hasCommand(name) ? null : { rewrite: () => unheld(neededText(name, originOf(name))) });
}

export const keyRules: Readonly<Record<string, RuleMaker>> = {
  UNLINK: unlink,
  EXPIRE: expire,
  PEXPIRE: expire,
  EXPIREAT: expire,
  PEXPIREAT: expire,
  FLUSHALL: flush(1),
  FLUSHDB: flush(1),
  SCRIPT: script,
  COPY: copy,
  RESTORE: restore,
  SWAPDB: whole("SWAPDB"),
  FUNCTION: (abilities) => whole("FUNCTION")(abilities) ?? functions(abilities),
  SPUBLISH: whole("SPUBLISH"),
};
