import { neededText, originOf, since } from "@sluice/redis";
import type { Abilities } from "./abilities.ts";
import { computed, countAt, exact, NATIVE, wordAt, type Arguments, type Outcome, type RuleMaker } from "./outcome.ts";
import { MOVE_ELEMENT } from "./scripts.ts";

const COUNTED_POPS = since("6.2");
const PUSHX_OF_SEVERAL = since("4.0");

/** LPOP and RPOP of several: a list without its first, or last, elements. */
const pop =
  (isLeft: boolean): RuleMaker =>
  (abilities) => {
    if (abilities.hasSince(COUNTED_POPS)) return null;
    return {
      rewrite: (args) => {
        const [, key = ""] = args;
        const count = countAt(args, 2);
        if (count < 0) return NATIVE;
        return exact(isLeft ? ["LTRIM", key, count, -1] : ["LTRIM", key, 0, -count - 1]);
      },
    };
  };

/** Several elements one by one. */
const pushIfThere: RuleMaker = (abilities) => {
  if (abilities.hasSince(PUSHX_OF_SEVERAL)) return null;
  return {
    rewrite: ([name = "", key = "", ...elements]) =>
      elements.length < 2 ? NATIVE : exact(...elements.map((element): Arguments => [name, key, element])),
  };
};

const move: RuleMaker = (abilities) => (abilities.hasCommand("LMOVE") ? null : { rewrite: (args) => moved(args, abilities) });

function moved(args: readonly Buffer[], abilities: Abilities): Outcome {
  const [, from = "", to = ""] = args;
  const [source, target] = [wordAt(args, 3), wordAt(args, 4)];
  if (source === "RIGHT" && target === "LEFT") return exact(["RPOPLPUSH", from, to]);
  if (!abilities.hasCommand("EVAL")) return computed(neededText("LMOVE", originOf("LMOVE")));
  const how = [source === "LEFT" ? "LPOP" : "RPOP", target === "LEFT" ? "LPUSH" : "RPUSH"];
  return exact(["EVAL", MOVE_ELEMENT, 2, from, to, ...how]);
}

export const listRules: Readonly<Record<string, RuleMaker>> = {
  LPOP: pop(true),
  RPOP: pop(false),
  LPUSHX: pushIfThere,
  RPUSHX: pushIfThere,
  LMOVE: move,
};
