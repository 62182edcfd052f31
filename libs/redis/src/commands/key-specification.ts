import type { FramedCommand } from "../resp/command-framer.ts";
import type { Reply } from "../resp/reply.ts";
import { isWord, smallNumber } from "./argument.ts";
import { commandText } from "./command-definition.ts";
import { MALFORMED } from "./movable-keys.ts";
import type { KeyRule } from "./movable-keys.ts";

/** Most key specifications that one command may have; Redis' own have at most four. */
const MAX_SPECIFICATIONS = 64;

/**
 * Where some keys of a command stand, as a server from 7.0 on says it (https://redis.io/docs/latest/develop/reference/key-specs/; Redis db.c,
 * getKeysUsingKeySpecs). First an argument is found, then the keys from there on.
 */
interface KeySpecification {
  /** Argument index; or behind a keyword, searched from an argument on, backwards from the end where `from` is negative. */
  readonly begin: { readonly at: number } | { readonly keyword: string; readonly from: number };
  /**
   * `last` counts from the begin, or from the end of the command when it is negative; a `limit` of n > 1 takes the first n-th part of the
   * arguments. `countAt` and `firstAt` count from the begin.
   */
  readonly find:
    | { readonly last: number; readonly step: number; readonly limit: number }
    | { readonly countAt: number; readonly firstAt: number; readonly step: number };
}

/** A RESP2 map: names and values in turn. */
function fieldsOf(reply: Reply | undefined): Map<string, Reply> {
  if (!Array.isArray(reply) || reply.length % 2 !== 0) throw new TypeError("COMMAND: expected pairs of names and values");
  const fields = new Map<string, Reply>();
  for (let index = 0; index < reply.length; index += 2) fields.set(commandText(reply[index]), reply[index + 1]!);
  return fields;
}

function wholeNumber(fields: ReadonlyMap<string, Reply>, name: string): number {
  const value = fields.get(name);
  if (typeof value !== "number") throw new TypeError(`COMMAND: expected a whole number as ${name} of a key specification`);
  return value;
}

function beginOf(fields: ReadonlyMap<string, Reply>): KeySpecification["begin"] | null {
  const begin = fieldsOf(fields.get("begin_search"));
  const type = commandText(begin.get("type"));
  if (type !== "index" && type !== "keyword") return null;
  const spec = fieldsOf(begin.get("spec"));
  if (type === "index") return { at: wholeNumber(spec, "index") };
  return { keyword: commandText(spec.get("keyword")).toUpperCase(), from: wholeNumber(spec, "startfrom") };
}

function findOf(fields: ReadonlyMap<string, Reply>): KeySpecification["find"] | null {
  const find = fieldsOf(fields.get("find_keys"));
  const type = commandText(find.get("type"));
  if (type !== "range" && type !== "keynum") return null;
  const spec = fieldsOf(find.get("spec"));
  const step = Math.max(1, wholeNumber(spec, "keystep"));
  if (type === "range") return { last: wholeNumber(spec, "lastkey"), step, limit: wholeNumber(spec, "limit") };
  return { countAt: wholeNumber(spec, "keynumidx"), firstAt: wholeNumber(spec, "firstkey"), step };
}

/** One specification; null where it does not tell the keys; undefined where what it tells are no keys (channels). */
function specification(reply: Reply): KeySpecification | null | undefined {
  const fields = fieldsOf(reply);
  const flags = fields.get("flags");
  if (!Array.isArray(flags)) throw new TypeError("COMMAND: expected the flags of a key specification");
  const names = new Set(flags.map((flag) => commandText(flag).toLowerCase()));
  if (names.has("not_key")) return undefined;
  const begin = beginOf(fields);
  const find = findOf(fields);
  return names.has("incomplete") || begin === null || find === null ? null : { begin, find };
}

/** Argument at which the keys of a specification begin; 0 where its keyword is not there. */
function beginAt(begin: KeySpecification["begin"], command: FramedCommand): number {
  if ("at" in begin) return begin.at;
  const isForward = begin.from > 0;
  const last = command.argc - 1;
  for (let index = isForward ? begin.from : last + 1 + begin.from; index > 0 && index <= last; index += isForward ? 1 : -1) {
    if (isWord(command, index, begin.keyword)) return index + 1;
  }
  return 0;
}

/** Writes the keys that one specification tells behind the `found` ones, and returns how many there are then, or {@link MALFORMED}. */
function addKeys({ begin, find }: KeySpecification, command: FramedCommand, out: Int32Array, found: number): number {
  const at = beginAt(begin, command);
  if (at === 0) return found;
  let first = at;
  let last = 0;
  if ("countAt" in find) {
    const count = smallNumber(command, at + find.countAt);
    if (count < 0) return MALFORMED;
    if (count === 0) return found;
    first = at + find.firstAt;
    last = first + (count - 1) * find.step;
  } else if (find.last >= 0) last = at + find.last;
  else if (find.limit <= 1) last = command.argc + find.last;
  else last = at + Math.floor((command.argc - at) / find.limit) + find.last;
  if (first < 1 || last < first || last >= command.argc) return MALFORMED;
  let next = found;
  for (let index = first; index <= last; index += find.step) out[next++] = index;
  return next;
}

/**
 * The key rule that a command's specifications make (element 9 of its row in COMMAND), or null where they do not tell all of its keys, so that the
 * server has to be asked for each call.
 * @throws {TypeError} it has another shape.
 */
export function specifiedKeys(reply: Reply | undefined): KeyRule | null {
  if (!Array.isArray(reply) || reply.length === 0) return null;
  if (reply.length > MAX_SPECIFICATIONS)
    throw new TypeError(`COMMAND: expected at most ${MAX_SPECIFICATIONS} key specifications`);
  const specifications: KeySpecification[] = [];
  for (const element of reply) {
    const read = specification(element);
    if (read === null) return null;
    if (read !== undefined) specifications.push(read);
  }
  if (specifications.length === 0) return null;
  return (command, out) => {
    let found = 0;
    for (const each of specifications) {
      found = addKeys(each, command, out, found);
      if (found === MALFORMED) return MALFORMED;
    }
    return found;
  };
}
