import { commandTable, ReplyError, type CommandArgument, type Connection, type Reply } from "@sluice/redis";
import { keyOfPlace, swappedPlaces, type Place, type PlacedCommand } from "./commands-of.ts";

const idsOf = (names: string): ReadonlySet<number> => new Set(names.split(" ").map((name) => commandTable.idOf(name)));

/** What stands in these keys afterwards, whatever stood there before: nothing earlier matters. They don't fail. */
const RESETS = idsOf("SETEX PSETEX DEL UNLINK MSET");
/** Don't fail by what a key holds; put down a string where nothing stood. */
const IF_ABSENT = idsOf("SETNX MSETNX");
/** Don't fail by what a key holds, and leave it otherwise as it was. */
const HARMLESS = idsOf("PERSIST EXPIRE PEXPIRE EXPIREAT PEXPIREAT TOUCH PUBLISH SPUBLISH");
const COUNTERS = idsOf("INCR DECR INCRBY DECRBY");
const SET = commandTable.idOf("SET");
const HINCRBY = commandTable.idOf("HINCRBY");
const XADD = commandTable.idOf("XADD");
/** Commands on one key that fail by its type and by nothing else that it holds. */
const TYPES: readonly (readonly [type: string, ids: ReadonlySet<number>])[] = [
  ["string", idsOf("APPEND SETRANGE SETBIT GETSET GETDEL")],
  ["list", idsOf("LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LREM LTRIM LINSERT")],
  ["set", idsOf("SADD SREM SPOP")],
  ["hash", idsOf("HSET HMSET HSETNX HDEL")],
  ["zset", idsOf("ZADD ZREM ZREMRANGEBYSCORE ZREMRANGEBYRANK ZREMRANGEBYLEX ZPOPMIN ZPOPMAX GEOADD")],
  ["stream", idsOf("XDEL XTRIM XACK")],
];
const INTEGER = /^-?\d{1,19}$/;
const [LEAST, MOST] = [-(2n ** 63n), 2n ** 63n - 1n];

/** What must hold of a key if the commands on it ran well. */
interface Expected {
  type: string | null;
  /** What was added last by INCR and its relatives; null where nothing was. */
  added: bigint | null;
  readonly fields: Map<string, bigint>;
  streamId: string | null;
  /** Nothing came behind what can fail by the value: if that is wrong now, it failed. */
  isLast: boolean;
  isUnknown: boolean;
}

export interface Question {
  readonly db: number;
  readonly command: readonly CommandArgument[];
}

/** Keys by what is known of the commands on them. Those that ran well for sure are in neither. */
export interface LostVerdicts {
  readonly failed: ReadonlySet<Place>;
  readonly unknown: ReadonlySet<Place>;
}

/**
 * Tells from what stands in a destination *now* whether commands failed whose replies were lost. They were the last that were
 * applied, so a key stands as the last of them left it, and a command that fails leaves it as it was:
 *
 *     RPUSH, SADD, HSET …    failed only if the key is of another type now
 *     INCR, HINCRBY          failed only if there is no number now, or one so large that it had no room to grow
 *     XADD                   failed only if the stream's last id is another
 *     SET, DEL …             can't fail, and end all doubts about what came before them
 *
 * What names several keys, or fails for other reasons, is unknown; so is a number behind which the key was written otherwise.
 */
export class LostVerdict {
  /** Every key that was named. */
  readonly places = new Set<Place>();
  readonly #expected = new Map<Place, Expected>();
  #commands = 0;

  get commands(): number {
    return this.#commands;
  }

  /** Takes the next command in the order in which they were applied. */
  add(command: PlacedCommand): void {
    const { id, places } = command;
    this.#commands++;
    for (const place of places ?? []) this.places.add(place);
    if (command.swaps !== undefined) {
      for (const place of swappedPlaces([...this.places], command.swaps)) this.places.add(place);
      for (const place of swappedPlaces([...this.#expected.keys()], command.swaps)) this.#of(place);
    }
    if (HARMLESS.has(id)) return;
    if (places === null || places.length === 0) {
      // A whole database may have gone, or come.
      for (const expected of this.#expected.values()) expected.isUnknown = true;
      return;
    }
    if (IF_ABSENT.has(id)) {
      for (const place of places) if (this.#expected.has(place)) this.#of(place).isUnknown = true;
      return;
    }
    if (RESETS.has(id) || (id === SET && !hasOption(command, "GET"))) {
      for (const place of places) this.#expected.delete(place);
      return;
    }
    const [place] = places;
    const type = TYPES.find(([, ids]) => ids.has(id))?.[0];
    if (places.length > 1 || place === undefined) for (const each of places) this.#of(each).isUnknown = true;
    else if (type !== undefined) this.#typed(place, type);
    else if (COUNTERS.has(id)) count(this.#typed(place, "string"), addedBy(command));
    else if (id === HINCRBY) {
      this.#typed(place, "hash").fields.set(command.argument(2).toString("latin1"), numberIn(command.argument(3)) ?? 0n);
    } else if (id === XADD) {
      const expected = this.#typed(place, "stream");
      // Of two only the last can be seen.
      if (expected.streamId !== null) expected.isUnknown = true;
      expected.streamId = streamIdIn(command);
    } else this.#of(place).isUnknown = true;
  }

  /** What to ask the destination, in the order in which `judge` wants the answers. */
  questions(): Question[] {
    return [...this.#expected].flatMap(([place, expected]) => {
      const { db, key } = keyOfPlace(place);
      return questionsAbout(key, expected).map((command) => ({ db, command }));
    });
  }

  /** `answers`: to `questions`, as text; an error reply as an `Error`. */
  judge(answers: readonly (string | Error)[]): LostVerdicts {
    const failed = new Set<Place>();
    const unknown = new Set<Place>();
    let at = 0;
    for (const [place, expected] of this.#expected) {
      const count = questionsAbout(Buffer.alloc(0), expected).length;
      const verdict = judgeKey(expected, answers.slice(at, at + count));
      at += count;
      if (verdict === "failed") failed.add(place);
      else if (verdict === "unknown") unknown.add(place);
    }
    return { failed, unknown };
  }

  #of(place: Place): Expected {
    const known = this.#expected.get(place);
    if (known !== undefined) return known;
    const fresh: Expected = { type: null, added: null, fields: new Map(), streamId: null, isLast: true, isUnknown: false };
    this.#expected.set(place, fresh);
    return fresh;
  }

  #typed(place: Place, type: string): Expected {
    const expected = this.#of(place);
    if (expected.added !== null || expected.fields.size > 0 || expected.streamId !== null) expected.isLast = false;
    // Without anything in between that ends all doubts, one of the two failed, or the key was emptied.
    if (expected.type !== null && expected.type !== type) expected.isUnknown = true;
    expected.type = type;
    return expected;
  }
}

/** Asks the questions on a connection; an error reply is an answer. Throws `ConnectionLost`. */
export async function askQuestions(connection: Connection, questions: readonly Question[]): Promise<(string | Error)[]> {
  let selected = 0;
  const selections: Promise<unknown>[] = [];
  const answers: Promise<string | Error>[] = [];
  for (const { db, command } of questions) {
    if (db !== selected) selections.push(connection.call(["SELECT", db]));
    selected = db;
    answers.push(connection.call(command).then(textOf, errorOf));
  }
  const [found] = await Promise.all([Promise.all(answers), Promise.all(selections)]);
  return found;
}

/** A reply as text; of an array its elements, with commas. */
function textOf(reply: Reply): string {
  return Array.isArray(reply) ? reply.map((element) => textOf(element)).join(",") : String(reply ?? "");
}

function errorOf(cause: unknown): Error {
  if (cause instanceof ReplyError) return cause;
  throw cause;
}

function questionsAbout(key: Buffer, { type, added, fields, streamId }: Expected): CommandArgument[][] {
  const questions: CommandArgument[][] = type === null ? [] : [["TYPE", key]];
  if (added !== null) questions.push(["GETRANGE", key, 0, 31]);
  for (const field of fields.keys()) questions.push(["HGET", key, Buffer.from(field, "latin1")]);
  if (streamId !== null) questions.push(["XINFO", "STREAM", key]);
  return questions;
}

function judgeKey(expected: Expected, answers: readonly (string | Error)[]): "well" | "failed" | "unknown" {
  const { type, added, fields, streamId, isLast, isUnknown } = expected;
  const [found, ...rest] = answers;
  if (type !== null && found !== type) {
    if (typeof found !== "string") return "unknown";
    if (isUnknown) return "unknown";
    return found === "none" ? "well" : "failed";
  }
  if (isUnknown) return "unknown";
  const doubt = isLast ? "failed" : "unknown";
  const steps = [...(added === null ? [] : [added]), ...fields.values()];
  for (const [index, step] of steps.entries()) {
    const text = rest[index];
    if (typeof text !== "string") return "unknown";
    if (text === "") continue;
    const value = INTEGER.test(text) ? BigInt(text) : null;
    if (value === null || value > MOST || value < LEAST) return doubt;
    if (value + step > MOST || value + step < LEAST) return "unknown";
  }
  if (streamId === null) return "well";
  const stream = rest[steps.length];
  if (typeof stream !== "string") return "unknown";
  return /last-generated-id,(\d+-\d+)/.exec(stream)?.[1] === streamId ? "well" : "unknown";
}

/** The last step alone is looked at; another one before it had another room to grow. */
function count(expected: Expected, step: bigint): void {
  if (expected.added !== null && expected.added !== step) expected.isUnknown = true;
  expected.added = step;
}

function addedBy({ id, argument, argc }: PlacedCommand): bigint {
  const step = argc > 2 ? (numberIn(argument(2)) ?? 0n) : 1n;
  return commandTable.names[id]?.startsWith("DECR") === true ? -step : step;
}

function numberIn(argument: Buffer): bigint | null {
  const text = argument.toString("latin1", 0, 32);
  return INTEGER.test(text) ? BigInt(text) : null;
}

function hasOption({ argument, argc }: PlacedCommand, option: string): boolean {
  for (let index = 3; index < argc; index++) if (isWord(argument(index), option)) return true;
  return false;
}

/** XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] id …; a source sends the id in full. */
function streamIdIn({ argument, argc }: PlacedCommand): string | null {
  let at = 2;
  if (at < argc && isWord(argument(at), "NOMKSTREAM")) at++;
  if (at < argc && (isWord(argument(at), "MAXLEN") || isWord(argument(at), "MINID"))) {
    at++;
    if (isWord(argument(at), "=") || isWord(argument(at), "~")) at++;
    at++;
    if (at < argc && isWord(argument(at), "LIMIT")) at += 2;
  }
  return at < argc ? argument(at).toString("latin1", 0, 64) : null;
}

function isWord(argument: Buffer, word: string): boolean {
  return argument.length === word.length && argument.toString("latin1").toUpperCase() === word;
}
