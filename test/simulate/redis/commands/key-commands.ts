import type { Call } from "../call.ts";
import { globMatcher } from "../glob.ts";
import { NO_EXPIRY, DATABASES, type SimDatabase, type SimEntry } from "../keyspace.ts";
import { integerOf } from "../number-text.ts";
import { command, type SimCommand } from "../sim-command.ts";
import {
  bulk,
  bulks,
  integer,
  list,
  NIL,
  NO_SUCH_KEY,
  OK,
  ONE,
  Refusal,
  status,
  SYNTAX,
  ZERO,
  type Encoded,
} from "../sim-reply.ts";
import { copyOf, type SimValue } from "../sim-value.ts";
import { dumpOf, restored } from "../value-encoding.ts";

const SCAN_COUNT = 10;
const SAME_OBJECT = new Refusal("ERR source and destination objects are the same");
const NO_DATABASE = new Refusal("ERR DB index is out of range");
const SMALL = 44;

function remove(call: Call): Encoded {
  let removed = 0;
  for (const key of call.args.slice(1)) if (call.find(key) !== undefined && call.remove(key)) removed++;
  return integer(removed);
}

function rename(onlyNew: boolean): (call: Call) => Encoded {
  return (call) => {
    const [, from = "", to = ""] = call.args;
    const entry = call.find(from);
    if (entry === undefined) throw NO_SUCH_KEY;
    if (from === to) return onlyNew ? ZERO : OK;
    if (call.find(to) !== undefined && onlyNew) return ZERO;
    call.db.remove(from);
    call.db.put(to, entry.value, entry.expireAtMs);
    call.touch(from);
    call.changed(to);
    return onlyNew ? ONE : OK;
  };
}

function databaseAt(call: Call, index: number): SimDatabase {
  const db = Number(call.int(index));
  if (db < 0 || db >= DATABASES) throw NO_DATABASE;
  return call.server.keyspace.at(db);
}

function move(call: Call): Encoded {
  const key = call.arg(1);
  const target = databaseAt(call, 2);
  if (target === call.db) throw SAME_OBJECT;
  const entry = call.find(key);
  if (entry === undefined || call.find(key, target) !== undefined) return ZERO;
  target.put(key, entry.value, entry.expireAtMs);
  call.db.remove(key);
  call.touch(key, target);
  call.changed(key);
  return ONE;
}

function copy(call: Call): Encoded {
  const [, from = "", to = ""] = call.args;
  let target = call.db;
  let replaces = false;
  for (let at = 3; at < call.args.length; at++) {
    if (call.word(at) === "REPLACE") replaces = true;
    else if (call.word(at) === "DB" && at + 1 < call.args.length) target = databaseAt(call, ++at);
    else throw SYNTAX;
  }
  if (target === call.db && from === to) throw SAME_OBJECT;
  const entry = call.find(from);
  if (entry === undefined) return ZERO;
  if (call.find(to, target) !== undefined && !replaces) return ZERO;
  target.put(to, copyOf(entry.value), entry.expireAtMs);
  call.touch(to, target);
  call.dirty++;
  return ONE;
}

/** Passes over keys that have expired, and leaves them where they are. */
function keys(call: Call): Encoded {
  const matches = globMatcher(call.arg(1));
  const found = [...call.db.entries].filter(
    ([key, { expireAtMs }]) => (expireAtMs === NO_EXPIRY || call.nowMs <= expireAtMs) && matches(key),
  );
  return bulks(found.map(([key]) => key));
}

/** A place for each key that does not depend on the others: so a scan meets every key that stays, whatever comes and goes. */
function placeOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 1) + 1;
}

function scan(call: Call): Encoded {
  const cursor = Number(integerOf(call.arg(1)) ?? -1);
  if (cursor < 0) throw new Refusal("ERR invalid cursor");
  let count = SCAN_COUNT;
  let type = "";
  let matches: (key: string) => boolean = () => true;
  for (let at = 2; at < call.args.length; at += 2) {
    if (at + 1 >= call.args.length) throw SYNTAX;
    if (call.word(at) === "COUNT") count = Number(call.int(at + 1));
    else if (call.word(at) === "MATCH") matches = globMatcher(call.arg(at + 1));
    else if (call.word(at) === "TYPE") type = call.arg(at + 1).toLowerCase();
    else throw SYNTAX;
    if (count < 1) throw SYNTAX;
  }
  const left = [...call.db.entries.keys()]
    .map((key) => ({ key, place: placeOf(key) }))
    .filter(({ place }) => place > cursor)
    .toSorted((one, other) => one.place - other.place);
  const last = left[Math.min(count, left.length) - 1]?.place ?? 0;
  const page = left.filter(({ place }) => place <= last);
  const shown = page
    .map(({ key }) => key)
    .filter((key) => matches(key) && call.find(key) !== undefined && (type === "" || call.find(key)?.value.type === type));
  return list([bulk(String(page.length < left.length ? last : 0)), bulks(shown)]);
}

function randomKey(call: Call): Encoded {
  const left = [...call.db.entries.keys()];
  while (left.length > 0) {
    const [drawn = ""] = left.splice(Math.floor(call.server.options.random() * left.length), 1);
    if (call.find(drawn) !== undefined) return bulk(drawn);
  }
  return NIL;
}

function dump(call: Call): Encoded {
  const entry = call.find(call.arg(1));
  return entry === undefined ? NIL : bulk(dumpOf(entry.value));
}

/** cluster.c, `restoreCommand`. */
function restore(call: Call): Encoded {
  const [, key = "", , payload = ""] = call.args;
  let replaces = false;
  let isAbsolute = false;
  for (let at = 4; at < call.args.length; at++) {
    const word = call.word(at);
    if (word === "REPLACE") replaces = true;
    else if (word === "ABSTTL") isAbsolute = true;
    else if ((word === "IDLETIME" || word === "FREQ") && at + 1 < call.args.length) {
      const value = Number(call.int(++at));
      if (word === "IDLETIME" && value < 0) throw new Refusal("ERR Invalid IDLETIME value, must be >= 0");
      if (word === "FREQ" && (value < 0 || value > 255)) throw new Refusal("ERR Invalid FREQ value, must be >= 0 and <= 255");
    } else throw SYNTAX;
  }
  if (!replaces && call.find(key) !== undefined) throw new Refusal("BUSYKEY Target key name already exists.");
  let expireAtMs = Number(call.int(2));
  if (expireAtMs < 0) throw new Refusal("ERR Invalid TTL value, must be >= 0");
  const value = restored(payload);
  if (value === null) throw new Refusal("ERR DUMP payload version or checksum are wrong");
  if (value === "unreadable") throw new Refusal("ERR Bad data format");
  const wasThere = replaces && call.db.remove(key);
  if (expireAtMs > 0 && !isAbsolute) expireAtMs += call.nowMs;
  if (expireAtMs > 0 && expireAtMs <= call.nowMs && !call.server.isReplica) {
    if (wasThere) {
      call.changed(key);
      call.replicateAs(["DEL", key]);
    }
    return OK;
  }
  call.put(key, value, expireAtMs > 0 ? expireAtMs : NO_EXPIRY);
  if (expireAtMs > 0 && !isAbsolute) {
    call.replicateAs([...call.args.slice(0, 2), String(expireAtMs), ...call.args.slice(3), "ABSTTL"]);
  }
  return OK;
}

function swap(call: Call): Encoded {
  if (call.server.cluster !== null) throw new Refusal("ERR SWAPDB is not allowed in cluster mode");
  const [one, other] = [integerOf(call.arg(1)), integerOf(call.arg(2))];
  if (one === null) throw new Refusal("ERR invalid first DB index");
  if (other === null) throw new Refusal("ERR invalid second DB index");
  if ([one, other].some((db) => db < 0 || db >= DATABASES)) throw NO_DATABASE;
  const [first, second] = [call.server.keyspace.at(Number(one)), call.server.keyspace.at(Number(other))];
  first.swap(second);
  for (const [db, former] of [
    [first, second],
    [second, first],
  ] as const) {
    for (const key of db.watchers.keys()) if (db.entries.has(key) || former.entries.has(key)) call.touch(key, db);
  }
  call.dirty++;
  return OK;
}

function flush(all: boolean): (call: Call) => Encoded {
  return (call) => {
    const word = call.word(1);
    if (call.args.length > 2 || (call.args.length === 2 && word !== "SYNC" && word !== "ASYNC")) throw SYNTAX;
    const databases = all ? call.server.keyspace.databases : [call.db];
    for (const db of databases) {
      const watched = [...db.watchers.keys()].filter((key) => db.entries.has(key));
      db.clear();
      for (const key of watched) call.touch(key, db);
    }
    call.replicateAs(call.args);
    return OK;
  };
}

function encodingOf(value: SimValue): string {
  switch (value.type) {
    case "string":
      if (integerOf(value.text) !== null) return "int";
      return value.text.length <= SMALL ? "embstr" : "raw";
    case "list":
      return "quicklist";
    case "set":
      return [...value.members].every((member) => integerOf(member) !== null) ? "intset" : "hashtable";
    case "hash":
      return value.fields.size <= 128 ? "listpack" : "hashtable";
    case "zset":
      return value.scores.size <= 128 ? "listpack" : "skiplist";
  }
}

function object(call: Call): Encoded {
  const entry = call.find(call.arg(2));
  if (entry === undefined) return NIL;
  switch (call.word(1)) {
    case "ENCODING":
      return bulk(encodingOf(entry.value));
    case "REFCOUNT":
      return ONE;
    case "IDLETIME":
      return ZERO;
    default:
      throw new Refusal(`ERR unknown subcommand '${call.arg(1)}'. Try OBJECT HELP.`);
  }
}

function count(call: Call): Encoded {
  return integer(call.args.slice(1).filter((key) => call.find(key) !== undefined).length);
}

function typeOf(entry: SimEntry | undefined): Encoded {
  return status(entry?.value.type ?? "none");
}

/** Commands on keys of any type, and on whole databases. */
export const keyCommands: readonly SimCommand[] = [
  command("del", -2, "w", [1, -1, 1], remove),
  command("unlink", -2, "w", [1, -1, 1], remove),
  command("exists", -2, "r", [1, -1, 1], count),
  command("touch", -2, "r", [1, -1, 1], count),
  command("type", 2, "r", [1, 1, 1], (call) => typeOf(call.find(call.arg(1)))),
  command("rename", 3, "w", [1, 2, 1], rename(false)),
  command("renamenx", 3, "w", [1, 2, 1], rename(true)),
  command("move", 3, "w", [1, 1, 1], move),
  command("copy", -3, "wm", [1, 2, 1], copy),
  command("keys", 2, "r", null, keys),
  command("scan", -2, "r", null, scan),
  command("dbsize", 1, "r", null, (call) => integer(call.db.entries.size)),
  command("randomkey", 1, "r", null, randomKey),
  command("dump", 2, "r", [1, 1, 1], dump),
  command("restore", -4, "wm", [1, 1, 1], restore),
  command("restore-asking", -4, "wmc", [1, 1, 1], restore),
  command("swapdb", 3, "w", null, swap),
  command("flushdb", -1, "w", null, flush(false)),
  command("flushall", -1, "w", null, flush(true)),
  command("object", -2, "r", [2, 2, 1], object),
];
