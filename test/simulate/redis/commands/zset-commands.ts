import type { Call } from "../call.ts";
import { doubleOf, doubleText, integerOf } from "../number-text.ts";
import { command, type SimCommand } from "../sim-command.ts";
import { bulk, bulks, EMPTY, integer, NIL, NOT_FLOAT, Refusal, SYNTAX, ZERO, type Encoded } from "../sim-reply.ts";
import { ranked, type ZsetValue } from "../sim-value.ts";
import { extentOf } from "./string-commands.ts";

const NO_NUMBER = new Refusal("ERR resulting score is not a number (NaN)");
const FLAGS = new Set(["NX", "XX", "GT", "LT", "CH", "INCR"]);

interface AddResult {
  added: number;
  updated: number;
  /** The score of the last element that was taken; null when its flags kept it out. */
  score: number | null;
}

/** One element (t_zset.c, `zsetAdd`). Throws when the sum is not a number. */
function addOne({ scores }: ZsetValue, member: string, given: number, flags: ReadonlySet<string>, result: AddResult): void {
  const former = scores.get(member);
  result.score = null;
  if (former === undefined) {
    if (flags.has("XX")) return;
    scores.set(member, given);
    result.added++;
    result.score = given;
    return;
  }
  if (flags.has("NX")) return;
  const score = flags.has("INCR") ? former + given : given;
  if (Number.isNaN(score)) throw NO_NUMBER;
  if ((flags.has("LT") && score >= former) || (flags.has("GT") && score <= former)) return;
  result.score = score;
  if (score === former) return;
  scores.set(member, score);
  result.updated++;
}

function add(call: Call): Encoded {
  const flags = new Set<string>();
  let from = 2;
  while (FLAGS.has(call.word(from))) flags.add(call.word(from++));
  return addAll(call, flags, from);
}

function addAll(call: Call, flags: ReadonlySet<string>, from: number): Encoded {
  const { args } = call;
  const key = call.arg(1);
  const isSum = flags.has("INCR");
  if (args.length === from || (args.length - from) % 2 === 1) throw SYNTAX;
  if (flags.has("NX") && flags.has("XX")) throw new Refusal("ERR XX and NX options at the same time are not compatible");
  const orders = Number(flags.has("GT")) + Number(flags.has("LT")) + Number(flags.has("NX"));
  if (orders > 1) throw new Refusal("ERR GT, LT, and/or NX options at the same time are not compatible");
  if (isSum && args.length - from > 2) throw new Refusal("ERR INCR option supports a single increment-element pair");
  const scores: number[] = [];
  for (let at = from; at < args.length; at += 2) {
    const score = doubleOf(call.arg(at));
    if (score === null) throw NOT_FLOAT;
    scores.push(score);
  }
  let found = call.zset(key);
  if (found === undefined) {
    if (flags.has("XX")) return isSum ? NIL : ZERO;
    found = { type: "zset", scores: new Map() };
    call.db.put(key, found, -1);
  }
  const result: AddResult = { added: 0, updated: 0, score: null };
  for (const [index, score] of scores.entries()) addOne(found, call.arg(from + index * 2 + 1), score, flags, result);
  const changes = result.added + result.updated;
  if (changes > 0) call.changed(key, changes);
  if (isSum) return result.score === null ? NIL : bulk(doubleText(result.score));
  return integer(flags.has("CH") ? changes : result.added);
}

function increment(call: Call): Encoded {
  return addAll(call, new Set(["INCR"]), 2);
}

/** Removes members; the key goes with the last. */
function dropAll(call: Call, found: ZsetValue, members: readonly string[]): number {
  let removed = 0;
  for (const member of members) if (found.scores.delete(member)) removed++;
  if (removed > 0) call.changed(call.arg(1), removed);
  call.dropIfEmpty(call.arg(1), found.scores.size);
  return removed;
}

function remove(call: Call): Encoded {
  const found = call.zset(call.arg(1));
  return found === undefined ? ZERO : integer(dropAll(call, found, call.args.slice(2)));
}

function removeByRank(call: Call): Encoded {
  const [start, stop] = [Number(call.int(2)), Number(call.int(3))];
  const found = call.zset(call.arg(1));
  if (found === undefined) return ZERO;
  const extent = extentOf(start, stop, found.scores.size);
  return integer(
    dropAll(
      call,
      found,
      ranked(found)
        .slice(...extent)
        .map(([member]) => member),
    ),
  );
}

function limit(text: string): { score: number; isOpen: boolean } {
  const isOpen = text.startsWith("(");
  const score = doubleOf(isOpen ? text.slice(1) : text);
  if (score === null) throw new Refusal("ERR min or max is not a float");
  return { score, isOpen };
}

function between(call: Call, found: ZsetValue): [string, number][] {
  const [low, high] = [limit(call.arg(2)), limit(call.arg(3))];
  return ranked(found).filter(
    ([, score]) =>
      (low.isOpen ? score > low.score : score >= low.score) && (high.isOpen ? score < high.score : score <= high.score),
  );
}

function removeByScore(call: Call): Encoded {
  limit(call.arg(2));
  limit(call.arg(3));
  const found = call.zset(call.arg(1));
  return found === undefined
    ? ZERO
    : integer(
        dropAll(
          call,
          found,
          between(call, found).map(([member]) => member),
        ),
      );
}

function pairs(found: readonly (readonly [string, number])[], withScores: boolean): Encoded {
  return bulks(found.flatMap(([member, score]) => (withScores ? [member, doubleText(score)] : [member])));
}

function range(call: Call): Encoded {
  let withScores = false;
  let isReversed = call.command.name === "zrevrange";
  for (let at = 4; at < call.args.length; at++) {
    const word = call.word(at);
    if (word === "WITHSCORES") withScores = true;
    else if (word === "REV" && call.command.name === "zrange") isReversed = true;
    else throw SYNTAX;
  }
  const [start, stop] = [Number(call.int(2)), Number(call.int(3))];
  const found = call.zset(call.arg(1));
  if (found === undefined) return EMPTY;
  const all = isReversed ? ranked(found).toReversed() : ranked(found);
  return pairs(all.slice(...extentOf(start, stop, all.length)), withScores);
}

function rangeByScore(call: Call): Encoded {
  if (call.args.length > 5 || (call.args.length === 5 && call.word(4) !== "WITHSCORES")) throw SYNTAX;
  limit(call.arg(2));
  limit(call.arg(3));
  const found = call.zset(call.arg(1));
  return found === undefined ? EMPTY : pairs(between(call, found), call.args.length === 5);
}

function pop(isHighest: boolean): (call: Call) => Encoded {
  return (call) => {
    if (call.args.length > 3) throw SYNTAX;
    const count = call.args.length === 3 ? Number(integerOf(call.arg(2)) ?? -1) : 1;
    if (count < 0) throw new Refusal("ERR value is out of range, must be positive");
    const found = call.zset(call.arg(1));
    if (found === undefined || count === 0) return EMPTY;
    const all = isHighest ? ranked(found).toReversed() : ranked(found);
    const taken = all.slice(0, count);
    dropAll(
      call,
      found,
      taken.map(([member]) => member),
    );
    return pairs(taken, true);
  };
}

function score(call: Call): Encoded {
  const found = call.zset(call.arg(1))?.scores.get(call.arg(2));
  return found === undefined ? NIL : bulk(doubleText(found));
}

function rank(call: Call): Encoded {
  const found = call.zset(call.arg(1));
  const index = found === undefined ? -1 : ranked(found).findIndex(([member]) => member === call.arg(2));
  return index < 0 ? NIL : integer(index);
}

/** Commands on sorted sets. */
export const zsetCommands: readonly SimCommand[] = [
  command("zadd", -4, "wm", [1, 1, 1], add),
  command("zincrby", 4, "wm", [1, 1, 1], increment),
  command("zrem", -3, "w", [1, 1, 1], remove),
  command("zremrangebyrank", 4, "w", [1, 1, 1], removeByRank),
  command("zremrangebyscore", 4, "w", [1, 1, 1], removeByScore),
  command("zpopmin", -2, "w", [1, 1, 1], pop(false)),
  command("zpopmax", -2, "w", [1, 1, 1], pop(true)),
  command("zcard", 2, "r", [1, 1, 1], (call) => integer(call.zset(call.arg(1))?.scores.size ?? 0)),
  command("zscore", 3, "r", [1, 1, 1], score),
  command("zrank", 3, "r", [1, 1, 1], rank),
  command("zrange", -4, "r", [1, 1, 1], range),
  command("zrevrange", -4, "r", [1, 1, 1], range),
  command("zrangebyscore", -4, "r", [1, 1, 1], rangeByScore),
];
