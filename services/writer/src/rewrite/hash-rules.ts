import { neededText, originOf, since } from "@sluice/redis";
import type { Abilities } from "./abilities.ts";
import {
  wordsFrom,
  computed,
  countAt,
  exact,
  NATIVE,
  textAt,
  unheld,
  wordAt,
  type Arguments,
  type Outcome,
  type RuleMaker,
} from "./outcome.ts";
import { SET_FIELDS_KEEPING } from "./scripts.ts";

const SEVERAL_FIELDS = since("4.0");
/** HSETEX with NX or XX for the key. */
const KEY_CONDITIONS = since("-", "9.1");

/** HSET of several fields was HMSET. */
const hset: RuleMaker = (abilities) => {
  if (abilities.hasSince(SEVERAL_FIELDS)) return null;
  return { rewrite: ([, ...rest]) => (rest.length > 3 ? exact(["HMSET", ...rest]) : NATIVE) };
};

/** What names fields, `… FIELDS count field …`; null where that is not so. `step`: arguments of one. */
function fieldsOf(args: readonly Buffer[], step: number): { readonly at: number; readonly list: readonly Buffer[] } | null {
  for (let index = 2; index < args.length; index++) {
    const word = wordAt(args, index);
    if (word === "FIELDS") {
      const count = countAt(args, index + 1);
      const list = args.slice(index + 2, index + 2 + count * step);
      return count < 1 || list.length !== count * step ? null : { at: index, list };
    }
    // Expiry options have an operand.
    if (word === "PXAT" || word === "EXAT") index++;
  }
  return null;
}

/** Options of HSETEX and HGETEX outside of the fields: an absolute expiry in ms as the source meant it, and the other words. */
function optionsOf(
  args: readonly Buffer[],
  fieldsAt: number,
  fieldsEnd: number,
): { expireAtMs: string | null; words: string[] } {
  let expireAtMs: string | null = null;
  const words: string[] = [];
  for (let index = 2; index < args.length; index++) {
    if (index === fieldsAt) index = fieldsEnd;
    const word = wordAt(args, index);
    if (word === "PXAT" || word === "EXAT") {
      const text = textAt(args, ++index);
      expireAtMs = word === "EXAT" && /^\d{1,16}$/.test(text) ? String(BigInt(text) * 1000n) : text;
    } else if (word !== "") words.push(word);
  }
  return { expireAtMs, words };
}

const hsetex: RuleMaker = (abilities) => {
  if (!abilities.hasCommand("HSETEX")) return { rewrite: (args) => setFields(args, abilities) };
  if (abilities.hasSince(KEY_CONDITIONS)) return null;
  return { rewrite: withoutKeyConditions, words: wordsFrom(2, "NX XX") };
};

/** NX and XX, which only Valkey has: they speak of the key, and held. */
function withoutKeyConditions(args: readonly Buffer[]): Outcome {
  const fields = fieldsOf(args, 2);
  if (fields === null) return NATIVE;
  const end = fields.at + 2 + fields.list.length;
  const isCondition = (index: number): boolean =>
    index > 1 && (index < fields.at || index >= end) && ["NX", "XX"].includes(wordAt(args, index));
  const kept = args.filter((_, index) => !isCondition(index));
  return kept.length === args.length ? NATIVE : exact(kept);
}

/**
 * HSETEX where there is none. FNX and FXX held. With an expiry: HSET and HPEXPIREAT; where fields have none at all it is lost, and
 * KEEPTTL is HSET's own way.
 */
function setFields(args: readonly Buffer[], abilities: Abilities): Outcome {
  const [, key = ""] = args;
  const fields = fieldsOf(args, 2);
  if (fields === null) return computed(neededText("HSETEX", originOf("HSETEX")));
  const { at, list } = fields;
  const { expireAtMs, words } = optionsOf(args, at, at + 2 + list.length);
  const name = abilities.hasSince(SEVERAL_FIELDS) || list.length === 2 ? "HSET" : "HMSET";
  const plain: Arguments = [name, key, ...list];
  const expires = abilities.hasCommand("HPEXPIREAT");
  if (words.includes("KEEPTTL") && expires) {
    if (!abilities.hasCommand("EVAL")) return computed(neededText("HSETEX KEEPTTL", originOf("HSETEX")));
    return exact(["EVAL", SET_FIELDS_KEEPING, 1, key, ...list]);
  }
  if (expireAtMs === null) return exact(plain);
  if (!expires) return unheld(neededText("HSETEX", originOf("HSETEX")), plain);
  const names = list.filter((_, index) => index % 2 === 0);
  return exact(plain, ["HPEXPIREAT", key, expireAtMs, "FIELDS", names.length, ...names]);
}

const hgetdel: RuleMaker = (abilities) => {
  if (abilities.hasCommand("HGETDEL")) return null;
  return {
    rewrite: (args) => {
      const [, key = ""] = args;
      const fields = fieldsOf(args, 1);
      return fields === null ? NATIVE : exact(["HDEL", key, ...fields.list]);
    },
  };
};

const hgetex: RuleMaker = (abilities) => {
  if (abilities.hasCommand("HGETEX")) return null;
  return {
    rewrite: (args) => {
      const [, key = ""] = args;
      const fields = fieldsOf(args, 1);
      if (fields === null) return NATIVE;
      const { at, list } = fields;
      const { expireAtMs, words } = optionsOf(args, at, at + 2 + list.length);
      const isThere = abilities.hasCommand("HPEXPIREAT");
      if (words.includes("PERSIST")) return isThere ? exact(["HPERSIST", key, "FIELDS", list.length, ...list]) : exact();
      if (expireAtMs === null) return exact();
      if (!isThere) return unheld(neededText("HGETEX", originOf("HGETEX")));
      return exact(["HPEXPIREAT", key, expireAtMs, "FIELDS", list.length, ...list]);
    },
  };
};

function expiring(name: string): RuleMaker {
  return (abilities) => (abilities.hasCommand(name) ? null : { rewrite: () => unheld(neededText(name, originOf(name))) });
}

/** Where no field expires none has to be kept from it. */
const hpersist: RuleMaker = (abilities) => (abilities.hasCommand("HPERSIST") ? null : { rewrite: () => exact() });

export const hashRules: Readonly<Record<string, RuleMaker>> = {
  HSET: hset,
  HSETEX: hsetex,
  HGETDEL: hgetdel,
  HGETEX: hgetex,
  HEXPIRE: expiring("HEXPIRE"),
  HPEXPIRE: expiring("HPEXPIRE"),
  HEXPIREAT: expiring("HEXPIREAT"),
  HPEXPIREAT: expiring("HPEXPIREAT"),
  HPERSIST: hpersist,
};
