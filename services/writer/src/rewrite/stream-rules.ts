import { neededText, originOf, since } from "@sluice/redis";
import type { Abilities } from "./abilities.ts";
import {
  computed,
  countAt,
  exact,
  NATIVE,
  textAt,
  unheld,
  wordAt,
  wordsFrom,
  type Arguments,
  type Outcome,
  type RuleMaker,
} from "./outcome.ts";
import { DELETE_PENDING, DELETE_WITH_REFERENCES, TRIM_UP_TO } from "./scripts.ts";

const MINID = since("6.2");
const CONSUMERS = since("6.2");
const COUNTERS = since("7.0");
const REFERENCES = since("8.2");
const PRODUCERS = since("8.6");
const LAST_SEQUENCE = 18_446_744_073_709_551_615n;
const LAST_ID = `${LAST_SEQUENCE}-${LAST_SEQUENCE}`;

/** Options of XADD and XTRIM that a server lacks, and where they end. */
interface Trim {
  /** What stays of the options, in order. */
  readonly kept: readonly Buffer[];
  /** Where the id of the entry stands, or the command's end. */
  readonly end: number;
  readonly minId: string | null;
  readonly hasTrim: boolean;
  readonly references: string;
  readonly isSame: boolean;
}

function readOptions(args: readonly Buffer[], abilities: Abilities): Trim {
  const kept: Buffer[] = [];
  let [minId, hasTrim, references, isSame]: [string | null, boolean, string, boolean] = [null, false, "", true];
  let index = 2;
  const take = (count: number, isThere: boolean): void => {
    if (isThere) kept.push(...args.slice(index, index + count));
    isSame &&= isThere;
    index += count;
  };
  for (; index < args.length;) {
    const word = wordAt(args, index);
    if (word === "NOMKSTREAM") take(1, abilities.hasSince(MINID));
    else if (word === "KEEPREF" || word === "DELREF" || word === "ACKED") {
      references = word;
      take(1, abilities.hasSince(REFERENCES));
    } else if (word === "IDMP" || word === "IDMPAUTO") take(word === "IDMP" ? 3 : 2, abilities.hasSince(PRODUCERS));
    else if (word === "MAXLEN" || word === "MINID") {
      hasTrim = true;
      const hasSign = ["=", "~"].includes(textAt(args, index + 1));
      const isThere = word === "MAXLEN" || abilities.hasSince(MINID);
      if (!isThere) minId = textAt(args, index + (hasSign ? 2 : 1));
      take(hasSign ? 3 : 2, isThere);
    } else if (word === "LIMIT") take(2, abilities.hasSince(MINID));
    else break;
  }
  return { kept, end: index, minId, hasTrim, references, isSame };
}

/** XADD and XTRIM. That the stream is there, what `KEEPREF` says and which producer it was for: as without the words. */
function trimming(name: string): RuleMaker {
  return (abilities) => {
    if (!abilities.hasCommand(name)) return lacking(name);
    if (abilities.hasSince(PRODUCERS)) return null;
    const words = wordsFrom(2, "NOMKSTREAM KEEPREF DELREF ACKED IDMP IDMPAUTO MINID LIMIT");
    return { rewrite: (args) => trimmed(args, readOptions(args, abilities), abilities), words };
  };
}

function trimmed(args: readonly Buffer[], trim: Trim, abilities: Abilities): Outcome {
  const [name = "", key = ""] = args;
  const { kept, end, minId, hasTrim, references, isSame } = trim;
  if (isSame) return NATIVE;
  const isNew = !abilities.hasSince(REFERENCES) && (references === "DELREF" || references === "ACKED");
  if (isNew && hasTrim) return computed(neededText(`${wordAt(args, 0)} ${references}`, REFERENCES));
  const rest = args.slice(end);
  // XTRIM is nothing but its trim.
  const plain: Arguments[] = rest.length === 0 && kept.length === 0 ? [] : [[name, key, ...kept, ...rest]];
  if (minId === null) return exact(...plain);
  const last = idBefore(minId);
  if (last === null) return exact(...plain);
  if (!abilities.hasCommand("EVAL")) return computed(neededText(`${wordAt(args, 0)} MINID`, MINID));
  return exact(...plain, ["EVAL", TRIM_UP_TO, 1, key, last]);
}

/** The last id that is smaller; null where there is none. */
function idBefore(id: string): string | null {
  const [ms = "0", sequence = "0"] = id.split("-");
  if (!/^\d{1,20}$/.test(ms) || !/^\d{1,20}$/.test(sequence)) return null;
  const [time, number] = [BigInt(ms), BigInt(sequence)];
  if (number > 0n) return `${time}-${number - 1n}`;
  return time > 0n ? `${time - 1n}-${LAST_SEQUENCE}` : null;
}

/** A server without streams holds none. */
function lacking(name: string): ReturnType<RuleMaker> {
  return { rewrite: () => unheld(neededText(name, originOf(name))) };
}

/** XGROUP: a consumer is made by reading behind the last entry, and counters that a server does not keep are left out. */
const group: RuleMaker = (abilities) => {
  if (!abilities.hasCommand("XGROUP")) return lacking("XGROUP");
  if (abilities.hasSince(COUNTERS)) return null;
  return {
    words: { from: 1, among: new Set(["CREATECONSUMER", "ENTRIESREAD"]) },
    rewrite: (args) => {
      const [, , key = "", name = "", consumer = ""] = args;
      if (wordAt(args, 1) === "CREATECONSUMER") {
        if (abilities.hasSince(CONSUMERS)) return NATIVE;
        return exact(["XREADGROUP", "GROUP", name, consumer, "COUNT", 1, "STREAMS", key, LAST_ID]);
      }
      return withoutPairs(args, 5, new Set(["ENTRIESREAD"]));
    },
  };
};

const setId: RuleMaker = (abilities) => {
  if (!abilities.hasCommand("XSETID")) return lacking("XSETID");
  if (abilities.hasSince(COUNTERS)) return null;
  return {
    words: wordsFrom(3, "ENTRIESADDED MAXDELETEDID"),
    rewrite: (args) => withoutPairs(args, 3, new Set(["ENTRIESADDED", "MAXDELETEDID"])),
  };
};

/** Without the options of these names, each with its operand. */
function withoutPairs(args: readonly Buffer[], from: number, names: ReadonlySet<string>): Outcome {
  const kept = args.slice(0, from);
  for (let index = from; index < args.length; index++) {
    if (names.has(wordAt(args, index))) index++;
    else kept.push(args[index] as Buffer);
  }
  return kept.length === args.length ? NATIVE : exact(kept);
}

/** XDELEX key, XACKDEL key group: [KEEPREF|DELREF|ACKED] IDS count id … */
function deleting(name: "XDELEX" | "XACKDEL"): RuleMaker {
  return (abilities) => {
    if (abilities.hasCommand(name)) return null;
    return { rewrite: (args) => deleted(name, args, abilities) };
  };
}

function deleted(name: string, args: readonly Buffer[], abilities: Abilities): Outcome {
  const [, key = "", groupName = ""] = args;
  if (!abilities.hasCommand("XDEL")) return unheld(neededText(name, originOf(name)));
  let at = name === "XACKDEL" ? 3 : 2;
  let references = "KEEPREF";
  for (; at < args.length && wordAt(args, at) !== "IDS"; at++) references = wordAt(args, at);
  const count = countAt(args, at + 1);
  const ids = args.slice(at + 2, at + 2 + count);
  const hasScripts = abilities.hasCommand("EVAL");
  const isScripted = references === "DELREF" && hasScripts;
  // XACKDEL leaves alone what was not pending in the group. Of one id it is known that it was: it had an effect.
  const isOfSome = name === "XACKDEL" && count > 1;
  if (count < 1 || (references !== "KEEPREF" && !isScripted) || (isOfSome && !hasScripts))
    return computed(neededText(name, originOf(name)));
  if (isOfSome) return exact(["EVAL", DELETE_PENDING, 1, key, groupName, isScripted ? "DELREF" : "", ...ids]);
  if (isScripted) return exact(["EVAL", DELETE_WITH_REFERENCES, 1, key, ...ids]);
  const gone: Arguments = ["XDEL", key, ...ids];
  return name === "XACKDEL" ? exact(["XACK", key, groupName, ...ids], gone) : exact(gone);
}

/** What producers are remembered by: a stream without it holds the same entries. */
function producers(name: string): RuleMaker {
  return (abilities) => (abilities.hasCommand(name) ? null : { rewrite: () => unheld(neededText(name, originOf(name))) });
}

export const streamRules: Readonly<Record<string, RuleMaker>> = {
  XADD: trimming("XADD"),
  XTRIM: trimming("XTRIM"),
  XGROUP: group,
  XSETID: setId,
  XDELEX: deleting("XDELEX"),
  XACKDEL: deleting("XACKDEL"),
  XCFGSET: producers("XCFGSET"),
  XIDMPRECORD: producers("XIDMPRECORD"),
};
