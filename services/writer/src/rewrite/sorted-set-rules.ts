import { neededText, originOf, since } from "@sluice/redis";
import type { Abilities } from "./abilities.ts";
import {
  computed,
  countAt,
  exact,
  NATIVE,
  wordAt,
  wordsFrom,
  type Arguments,
  type Outcome,
  type RuleMaker,
} from "./outcome.ts";
import { ADD_IF, STORE_DIFFERENCE, STORE_RANGE } from "./scripts.ts";

const CONDITIONS = since("3.0.2");
const COMPARISONS = since("6.2");
const OPTIONS: ReadonlySet<string> = new Set(["NX", "XX", "GT", "LT", "CH", "INCR"]);

/**
 * ZADD with conditions that a server lacks. One member: the condition held, or nothing would have been replicated. Several: it held
 * for one of them at least, and a script asks for each.
 */
const zadd: RuleMaker = (abilities) => {
  if (abilities.hasSince(COMPARISONS)) return null;
  const lacking = abilities.hasSince(CONDITIONS) ? "GT LT" : "GT LT NX XX CH INCR";
  const words = wordsFrom(2, lacking);
  return { rewrite: (args) => added(args, words.among, abilities), words };
};

function added(args: readonly Buffer[], lacking: ReadonlySet<string>, abilities: Abilities): Outcome {
  const [name = "ZADD", key = ""] = args;
  const options: string[] = [];
  let at = 2;
  for (; OPTIONS.has(wordAt(args, at)); at++) options.push(wordAt(args, at));
  if (!options.some((option) => lacking.has(option))) return NATIVE;
  const members = args.slice(at);
  if (options.includes("INCR")) return exact(["ZINCRBY", key, ...members]);
  const conditions = options.filter((option) => option !== "CH");
  if (members.length <= 2 || conditions.length === 0) return exact([name, key, ...members]);
  if (!abilities.hasCommand("EVAL")) return computed(neededText(`ZADD ${conditions.join(" ")}`, COMPARISONS));
  return exact(["EVAL", ADD_IF, 1, key, conditions.map((condition) => `${condition} `).join(""), ...members]);
}

/** A sorted set without its first, or last, members. */
const pop =
  (name: string, isLowest: boolean): RuleMaker =>
  (abilities) => {
    if (abilities.hasCommand(name)) return null;
    return {
      rewrite: (args) => {
        const [, key = ""] = args;
        const count = args.length > 2 ? countAt(args, 2) : 1;
        if (count === 0) return exact();
        if (count < 0) return NATIVE;
        return exact(["ZREMRANGEBYRANK", key, ...(isLowest ? [0, count - 1] : [-count, -1])]);
      },
    };
  };

const rangeStore: RuleMaker = (abilities) => {
  if (abilities.hasCommand("ZRANGESTORE")) return null;
  const lacking = computed(neededText("ZRANGESTORE", originOf("ZRANGESTORE")));
  return { rewrite: (args) => (abilities.hasCommand("EVAL") ? storedRange(args) : lacking) };
};

/** ZRANGESTORE to from start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count]. */
function storedRange(args: readonly Buffer[]): Outcome {
  const [, to = "", from = "", start = "", stop = ""] = args;
  let by = "";
  let isReverse = false;
  let limit: readonly Buffer[] = [];
  for (let index = 5; index < args.length; index++) {
    const word = wordAt(args, index);
    if (word === "BYSCORE" || word === "BYLEX") by = word.slice(2);
    else if (word === "REV") isReverse = true;
    else if (word === "LIMIT") limit = args.slice(index, (index += 2) + 1);
    else return NATIVE;
  }
  const read = `Z${isReverse ? "REV" : ""}RANGE${by === "" ? "" : `BY${by}`}`;
  const how: Arguments = by === "LEX" ? [read, "members"] : [read, "scores"];
  return exact(["EVAL", STORE_RANGE, 2, to, from, ...how, start, stop, ...(by === "LEX" ? [] : ["WITHSCORES"]), ...limit]);
}

const differenceStore: RuleMaker = (abilities) => {
  if (abilities.hasCommand("ZDIFFSTORE")) return null;
  return {
    rewrite: (args) => {
      const [, to = ""] = args;
      const count = countAt(args, 2);
      if (count < 1 || args.length !== 3 + count) return NATIVE;
      if (!abilities.hasCommand("EVAL")) return computed(neededText("ZDIFFSTORE", originOf("ZDIFFSTORE")));
      return exact(["EVAL", STORE_DIFFERENCE, 1 + count, to, ...args.slice(3)]);
    },
  };
};

const searchStore: RuleMaker = (abilities) => {
  if (abilities.hasCommand("GEOSEARCHSTORE")) return null;
  const lacking = computed(neededText("GEOSEARCHSTORE", originOf("GEOSEARCHSTORE")));
  return { rewrite: (args) => (abilities.hasCommand("GEORADIUS") ? storedSearch(args, lacking) : lacking) };
};

/** GEOSEARCHSTORE by a circle as GEORADIUS; by a box, or with ANY, there is nothing older. */
function storedSearch(args: readonly Buffer[], lacking: Outcome): Outcome {
  const [, to = "", from = ""] = args;
  let centre: Arguments = [];
  let radius: Arguments = [];
  let how = "STORE";
  const options: Buffer[] = [];
  for (let index = 3; index < args.length; index++) {
    const word = wordAt(args, index);
    if (word === "FROMMEMBER") centre = args.slice(++index, index + 1);
    else if (word === "FROMLONLAT") centre = args.slice(index + 1, (index += 2) + 1);
    else if (word === "BYRADIUS") radius = args.slice(index + 1, (index += 2) + 1);
    else if (word === "COUNT") options.push(...args.slice(index, ++index + 1));
    else if (word === "ASC" || word === "DESC") options.push(args[index] as Buffer);
    else if (word === "STOREDIST") how = word;
    else return lacking;
  }
  if (centre.length === 0 || radius.length < 2) return lacking;
  const name = centre.length === 1 ? "GEORADIUSBYMEMBER" : "GEORADIUS";
  return exact([name, from, ...centre, ...radius, ...options, how, to]);
}

export const sortedSetRules: Readonly<Record<string, RuleMaker>> = {
  ZADD: zadd,
  ZPOPMIN: pop("ZPOPMIN", true),
  ZPOPMAX: pop("ZPOPMAX", false),
  ZRANGESTORE: rangeStore,
  ZDIFFSTORE: differenceStore,
  GEOSEARCHSTORE: searchStore,
};
