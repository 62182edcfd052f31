import { neededText, originOf, since } from "@sluice/redis";
import type { Abilities } from "./abilities.ts";
import {
  computed,
  countAt,
  exact,
  NATIVE,
  textAt,
  wordAt,
  wordsFrom,
  type Arguments,
  type Outcome,
  type RuleMaker,
} from "./outcome.ts";
import { SET_KEEPING } from "./scripts.ts";

const KEEPTTL = since("6.0");
const PXAT = since("6.2");
const GET = since("6.2");
const GET_WITH_NX = since("7.0");
const IFEQ = since("8.4", "8.1");
const IFNE = since("8.4");
/** Scripts that read a clock before they write: effects are replicated, not the script. */
const CLOCKS = since("3.2");

/** SET whose options a server lacks. What was replicated has had its effect, so that conditions held and answers are no matter. */
const set: RuleMaker = (abilities) => {
  if (abilities.hasSince(IFNE) && abilities.hasSince(IFEQ)) return null;
  return {
    rewrite: (args) => setWithOptions(args, abilities),
    words: wordsFrom(3, "PXAT EXAT KEEPTTL GET IFEQ IFNE IFDEQ IFDNE"),
  };
};

/** An absolute expiry, in ms as the source meant it. */
function atMs(args: readonly Buffer[], index: number): string {
  const text = textAt(args, index);
  return wordAt(args, index - 1) === "EXAT" && /^-?\d{1,16}$/.test(text) ? String(BigInt(text) * 1000n) : text;
}

function setWithOptions(args: readonly Buffer[], abilities: Abilities): Outcome {
  const [name = "SET", key = "", value = ""] = args;
  const plain: Arguments = [name, key, value];
  const kept: Buffer[] = [];
  let isSame = true;
  let isKeeping = false;
  let expireAtMs: string | null = null;
  const hasNx = args.some((_, index) => index > 2 && wordAt(args, index) === "NX");
  for (let index = 3; index < args.length; index++) {
    const word = wordAt(args, index);
    if (COMPARED.has(word)) {
      const isThere = abilities.hasSince(word === "IFEQ" ? IFEQ : IFNE);
      isSame &&= isThere;
      if (isThere) kept.push(args[index] as Buffer, args[index + 1] ?? Buffer.alloc(0));
      index++;
    } else if (word === "PXAT" || word === "EXAT") {
      if (abilities.hasSince(PXAT)) kept.push(args[index] as Buffer, args[index + 1] ?? Buffer.alloc(0));
      else expireAtMs = atMs(args, index + 1);
      index++;
    } else if (word === "KEEPTTL" && !abilities.hasSince(KEEPTTL)) isKeeping = true;
    else if (word === "GET" && !abilities.hasSince(hasNx ? GET_WITH_NX : GET)) isSame = false;
    else kept.push(args[index] as Buffer);
  }
  if (isKeeping) return keeping(key, value, abilities);
  if (expireAtMs !== null) return exact([...plain, ...kept], ["PEXPIREAT", key, expireAtMs]);
  return isSame ? NATIVE : exact([...plain, ...kept]);
}

const COMPARED: ReadonlySet<string> = new Set(["IFEQ", "IFNE", "IFDEQ", "IFDNE"]);

function keeping(key: Buffer | string, value: Buffer | string, abilities: Abilities): Outcome {
  if (abilities.hasSince(CLOCKS) && abilities.hasCommand("EVAL")) return exact(["EVAL", SET_KEEPING, 1, key, value]);
  return computed(neededText("SET KEEPTTL", KEEPTTL));
}

const getdel: RuleMaker = (abilities) =>
  abilities.hasCommand("GETDEL") ? null : { rewrite: ([, key = ""]) => exact(["DEL", key]) };

const getex: RuleMaker = (abilities) => {
  if (abilities.hasCommand("GETEX")) return null;
  return {
    rewrite: (args) => {
      const [, key = ""] = args;
      const word = wordAt(args, 2);
      if (word === "PERSIST") return exact(["PERSIST", key]);
      return word === "PXAT" || word === "EXAT" ? exact(["PEXPIREAT", key, atMs(args, 3)]) : args.length < 3 ? exact() : NATIVE;
    },
  };
};

/** Conditions held, or the command would not have been replicated. */
const deleteIf =
  (name: string): RuleMaker =>
  (abilities) =>
    abilities.hasCommand(name) ? null : { rewrite: ([, key = ""]) => exact(["DEL", key]) };

/** MSETEX count key value … [NX|XX] [EXAT|PXAT n|KEEPTTL]: one form for Redis and Valkey. */
const msetex: RuleMaker = (abilities) => {
  if (abilities.hasCommand("MSETEX")) return null;
  return {
    rewrite: (args) => {
      const count = countAt(args, 1);
      const end = 2 + count * 2;
      if (count < 1 || end > args.length) return NATIVE;
      const pairs = args.slice(2, end);
      let isKeeping = false;
      let expireAtMs: string | null = null;
      for (let index = end; index < args.length; index++) {
        const word = wordAt(args, index);
        if (word === "KEEPTTL") isKeeping = true;
        if (word === "PXAT" || word === "EXAT") expireAtMs = atMs(args, index + 1);
      }
      const keys = pairs.filter((_, index) => index % 2 === 0);
      if (isKeeping) {
        const all = keys.map((key, index) => keptIn(key, pairs[index * 2 + 1] as Buffer, abilities));
        const lacking = all.find(({ kind }) => kind === "computed");
        return lacking ?? exact(...all.flatMap((one) => (one.kind === "exact" ? one.commands : [])));
      }
      const at = expireAtMs;
      return exact(["MSET", ...pairs], ...(at === null ? [] : keys.map((key): Arguments => ["PEXPIREAT", key, at])));
    },
  };
};

function keptIn(key: Buffer, value: Buffer, abilities: Abilities): Outcome {
  return abilities.hasSince(KEEPTTL) ? exact(["SET", key, value, "KEEPTTL"]) : keeping(key, value, abilities);
}

const NEW_OPERATIONS = since("8.2");

/**
 * BITOP DIFF, DIFF1, ANDOR, ONE of Redis 8.2 by those of 2.6, built up in the destination key: it must not be the first source, whose
 * bits are needed to the end. `X & ~Y = X ^ (X & Y)`, `~X & Y = (X | Y) ^ X`; a shorter string counts as zeros in all of them.
 */
const bitop: RuleMaker = (abilities) => {
  if (abilities.hasSince(NEW_OPERATIONS)) return null;
  return {
    words: { from: 1, among: new Set(["DIFF", "DIFF1", "ANDOR", "ONE"]) },
    rewrite: (args) => {
      const [name = "BITOP", , to = Buffer.alloc(0), first = Buffer.alloc(0), ...rest] = args;
      const lacking = computed(neededText(`BITOP ${wordAt(args, 1)}`, NEW_OPERATIONS));
      const operation = wordAt(args, 1);
      if (!["DIFF", "DIFF1", "ANDOR", "ONE"].includes(operation)) return NATIVE;
      if (operation === "ONE") {
        if (rest.length > 1) return lacking;
        return exact([name, rest.length === 0 ? "OR" : "XOR", to, first, ...rest]);
      }
      if (to.equals(first) || rest.length === 0) return lacking;
      const either: Arguments = [name, "OR", to, ...rest];
      if (operation === "ANDOR") return exact(either, [name, "AND", to, first, to]);
      if (operation === "DIFF") return exact(either, [name, "AND", to, first, to], [name, "XOR", to, first, to]);
      return exact([name, "OR", to, first, ...rest], [name, "XOR", to, to, first]);
    },
  };
};

const increx: RuleMaker = (abilities) =>
  abilities.hasCommand("INCREX") ? null : { rewrite: () => computed(neededText("INCREX", originOf("INCREX"))) };

export const stringRules: Readonly<Record<string, RuleMaker>> = {
  SET: set,
  GETDEL: getdel,
  GETEX: getex,
  DELEX: deleteIf("DELEX"),
  DELIFEQ: deleteIf("DELIFEQ"),
  MSETEX: msetex,
  BITOP: bitop,
  INCREX: increx,
};
