import type { Call } from "../call.ts";
import { NO_EXPIRY, type SimEntry } from "../keyspace.ts";
import { longDoubleOf, longDoubleText, sumOfLongDoubles } from "../long-double.ts";
import { integerOf, negated, sumOf, type Integer } from "../number-text.ts";
import { command, type SimCommand } from "../sim-command.ts";
import {
  bulk,
  bulkOrNil,
  integer,
  list,
  NIL,
  NOT_FLOAT,
  NOT_INTEGER,
  OK,
  ONE,
  OVERFLOW,
  Refusal,
  SYNTAX,
  ZERO,
  type Encoded,
} from "../sim-reply.ts";

const OUT_OF_RANGE = new Refusal("ERR offset is out of range");
const NO_NUMBER = new Refusal("ERR increment would produce NaN or Infinity");
const LATEST_MS = 2n ** 63n - 1n;

/** Options of SET and GETEX, each as it stands in the command. */
interface SetOptions {
  isNew: boolean;
  isOld: boolean;
  isGet: boolean;
  keepsExpiry: boolean;
  persists: boolean;
  unit: "EX" | "PX" | "EXAT" | "PXAT" | null;
  time: Integer;
}

const TIMES = new Set(["EX", "PX", "EXAT", "PXAT"]);

/** t_string.c, `parseExtendedStringArgumentsOrReply`. */
function setOptions(call: Call, from: number): SetOptions {
  const isSet = call.command.name === "set";
  const found: SetOptions = {
    isNew: false,
    isOld: false,
    isGet: false,
    keepsExpiry: false,
    persists: false,
    unit: null,
    time: 0,
  };
  let timeAt = 0;
  for (let at = from; at < call.args.length; at++) {
    const word = call.word(at);
    const isFree = found.unit === null && !found.keepsExpiry && !found.persists;
    if (isSet && word === "NX" && !found.isOld) found.isNew = true;
    else if (isSet && word === "XX" && !found.isNew) found.isOld = true;
    else if (isSet && word === "GET") found.isGet = true;
    else if (isSet && word === "KEEPTTL" && found.unit === null) found.keepsExpiry = true;
    else if (!isSet && word === "PERSIST" && found.unit === null) found.persists = true;
    else if (TIMES.has(word) && (isFree || found.unit === word) && at + 1 < call.args.length) {
      found.unit = word as "EX";
      timeAt = ++at;
    } else throw SYNTAX;
  }
  if (timeAt > 0) found.time = call.int(timeAt);
  return found;
}

/** When a time given in one of the four units is, in milliseconds since 1970. */
function expireAt(call: Call, unit: string, time: Integer): number {
  let ms = BigInt(time);
  const isSeconds = unit.startsWith("E");
  const isValid = ms > 0n && (!isSeconds || ms <= LATEST_MS / 1000n);
  if (isSeconds) ms *= 1000n;
  if (!unit.endsWith("AT")) ms += BigInt(call.nowMs);
  if (!isValid || ms > LATEST_MS) throw new Refusal(`ERR invalid expire time in '${call.command.name}' command`);
  return Number(ms);
}

function set(call: Call): Encoded {
  const options = setOptions(call, 3);
  const expireAtMs = options.unit === null ? NO_EXPIRY : expireAt(call, options.unit, options.time);
  const key = call.arg(1);
  const former = options.isGet ? bulkOrNil(call.string(key)?.text) : OK;
  const entry = call.find(key);
  if (options.isNew ? entry !== undefined : options.isOld && entry === undefined) return options.isGet ? former : NIL;
  const kept = options.keepsExpiry ? (entry?.expireAtMs ?? NO_EXPIRY) : NO_EXPIRY;
  call.put(key, { type: "string", text: call.arg(2) }, options.unit === null ? kept : expireAtMs);
  if (options.unit !== null) {
    call.replicateAs(["SET", key, call.arg(2), "PXAT", String(expireAtMs)]);
  } else if (options.isGet) {
    call.replicateAs(call.args.filter((_, index) => index < 3 || call.word(index) !== "GET"));
  }
  return former;
}

function setWithTime(unit: "EX" | "PX"): (call: Call) => Encoded {
  return (call) => {
    const expireAtMs = expireAt(call, unit, call.int(2));
    const [, key = "", , text = ""] = call.args;
    call.find(key);
    call.put(key, { type: "string", text }, expireAtMs);
    call.replicateAs(["SET", key, text, "PXAT", String(expireAtMs)]);
    return OK;
  };
}

function setIfNew(call: Call): Encoded {
  if (call.find(call.arg(1)) !== undefined) return ZERO;
  call.put(call.arg(1), { type: "string", text: call.arg(2) });
  return ONE;
}

function getAndSet(call: Call): Encoded {
  const reply = bulkOrNil(call.string(call.arg(1))?.text);
  call.put(call.arg(1), { type: "string", text: call.arg(2) });
  call.replicateAs(["SET", ...call.args.slice(1)]);
  return reply;
}

function getAndDelete(call: Call): Encoded {
  const found = call.string(call.arg(1));
  if (found === undefined) return NIL;
  call.remove(call.arg(1));
  call.replicateAs(["DEL", call.arg(1)]);
  return bulk(found.text);
}

function getAndExpire(call: Call): Encoded {
  const options = setOptions(call, 2);
  const key = call.arg(1);
  const found = call.string(key);
  if (found === undefined) return NIL;
  const reply = bulk(found.text);
  const entry = call.find(key) as SimEntry;
  if (options.unit !== null) {
    const expireAtMs = expireAt(call, options.unit, options.time);
    if (options.unit.endsWith("AT") && expireAtMs <= call.nowMs && !call.server.isReplica) {
      call.remove(key);
      call.replicateAs(["DEL", key]);
      return reply;
    }
    call.db.expire(key, entry, expireAtMs);
    call.changed(key);
    call.replicateAs(["PEXPIREAT", key, String(expireAtMs)]);
  } else if (options.persists && entry.expireAtMs !== NO_EXPIRY) {
    call.db.expire(key, entry, NO_EXPIRY);
    call.changed(key);
    call.replicateAs(["PERSIST", key]);
  }
  return reply;
}

function getMany(call: Call): Encoded {
  return list(
    call.args.slice(1).map((key) => {
      const value = call.find(key)?.value;
      return value?.type === "string" ? bulk(value.text) : NIL;
    }),
  );
}

function setMany(isNew: boolean): (call: Call) => Encoded {
  return (call) => {
    const { args, command } = call;
    if (args.length % 2 === 0) throw new Refusal(`ERR wrong number of arguments for '${command.name}' command`);
    for (let at = 1; isNew && at < args.length; at += 2) if (call.find(call.arg(at)) !== undefined) return ZERO;
    for (let at = 1; at < args.length; at += 2) {
      call.find(call.arg(at));
      call.put(call.arg(at), { type: "string", text: call.arg(at + 1) });
    }
    return isNew ? ONE : OK;
  };
}

function append(call: Call): Encoded {
  const [, key = "", text = ""] = call.args;
  const found = call.string(key);
  if (found === undefined) call.put(key, { type: "string", text });
  else {
    found.text += text;
    call.changed(key);
  }
  return integer((found?.text ?? text).length);
}

function setRange(call: Call): Encoded {
  const key = call.arg(1);
  const offset = Number(call.int(2));
  const text = call.arg(3);
  if (offset < 0) throw OUT_OF_RANGE;
  const found = call.string(key);
  if (text === "") return integer(found?.text.length ?? 0);
  const before = (found?.text ?? "").padEnd(offset, "\0");
  const after = before.slice(0, offset) + text + before.slice(offset + text.length);
  if (found === undefined) call.put(key, { type: "string", text: after });
  else {
    found.text = after;
    call.changed(key);
  }
  return integer(after.length);
}

/** `[from, to)` of a range whose ends count from the end when negative, both included. */
export function extentOf(start: number, stop: number, length: number): readonly [from: number, to: number] {
  const from = Math.max(0, start < 0 ? length + start : start);
  const to = Math.min(length - 1, stop < 0 ? length + stop : stop) + 1;
  return from >= to ? [0, 0] : [from, to];
}

function getRange(call: Call): Encoded {
  const [start, stop] = [Number(call.int(2)), Number(call.int(3))];
  const text = call.string(call.arg(1))?.text ?? "";
  if (start < 0 && stop < 0 && start > stop) return bulk("");
  // Unlike the ends of lists, an end that lies in front of the first byte means the first (t_string.c, `getrangeCommand`).
  return bulk(text.slice(...extentOf(start, stop < 0 ? Math.max(0, text.length + stop) : stop, text.length)));
}

function setBit(call: Call): Encoded {
  const place = Number(integerOf(call.arg(2)) ?? -1);
  if (place < 0 || place >= 2 ** 32) throw new Refusal("ERR bit offset is not an integer or out of range");
  if (call.arg(3) !== "0" && call.arg(3) !== "1") throw new Refusal("ERR bit is not an integer or out of range");
  const found = call.string(call.arg(1));
  const bytes = Buffer.from((found?.text ?? "").padEnd((place >> 3) + 1, "\0"), "latin1");
  const mask = 0x80 >> (place & 7);
  const former = ((bytes[place >> 3] ?? 0) & mask) === 0 ? 0 : 1;
  bytes[place >> 3] = call.arg(3) === "1" ? (bytes[place >> 3] ?? 0) | mask : (bytes[place >> 3] ?? 0) & ~mask;
  if (found === undefined) call.put(call.arg(1), { type: "string", text: bytes.toString("latin1") });
  else if (bytes.length > found.text.length || former !== Number(call.arg(3))) {
    found.text = bytes.toString("latin1");
    call.changed(call.arg(1));
  }
  return integer(former);
}

function getBit(call: Call): Encoded {
  const place = Number(integerOf(call.arg(2)) ?? -1);
  if (place < 0 || place >= 2 ** 32) throw new Refusal("ERR bit offset is not an integer or out of range");
  const byte = (call.string(call.arg(1))?.text ?? "").charCodeAt(place >> 3) || 0;
  return integer((byte & (0x80 >> (place & 7))) === 0 ? 0 : 1);
}

function add(call: Call, delta: Integer): Encoded {
  const key = call.arg(1);
  const found = call.string(key);
  const value = found === undefined ? 0 : integerOf(found.text);
  if (value === null) throw NOT_INTEGER;
  const sum = sumOf(value, delta);
  if (sum === null) throw OVERFLOW;
  if (found === undefined) call.put(key, { type: "string", text: String(sum) });
  else {
    found.text = String(sum);
    call.changed(key);
  }
  return integer(sum);
}

function subtract(call: Call): Encoded {
  const delta = negated(call.int(2));
  if (delta === null) throw new Refusal("ERR decrement would overflow");
  return add(call, delta);
}

function addFloat(call: Call): Encoded {
  const key = call.arg(1);
  const found = call.string(key);
  const value = longDoubleOf(found?.text ?? "0");
  const delta = longDoubleOf(call.arg(2));
  if (value === null || delta === null) throw NOT_FLOAT;
  if (value === "infinite" || delta === "infinite") throw NO_NUMBER;
  const text = longDoubleText(sumOfLongDoubles(value, delta));
  if (found === undefined) call.put(key, { type: "string", text });
  else {
    found.text = text;
    call.changed(key);
  }
  call.replicateAs(["SET", key, text, "KEEPTTL"]);
  return bulk(text);
}

/** Commands on strings. */
export const stringCommands: readonly SimCommand[] = [
  command("get", 2, "r", [1, 1, 1], (call) => bulkOrNil(call.string(call.arg(1))?.text)),
  command("set", -3, "wm", [1, 1, 1], set),
  command("setnx", 3, "wm", [1, 1, 1], setIfNew),
  command("setex", 4, "wm", [1, 1, 1], setWithTime("EX")),
  command("psetex", 4, "wm", [1, 1, 1], setWithTime("PX")),
  command("getset", 3, "wm", [1, 1, 1], getAndSet),
  command("getdel", 2, "w", [1, 1, 1], getAndDelete),
  command("getex", -2, "w", [1, 1, 1], getAndExpire),
  command("mget", -2, "r", [1, -1, 1], getMany),
  command("mset", -3, "wm", [1, -1, 2], setMany(false)),
  command("msetnx", -3, "wm", [1, -1, 2], setMany(true)),
  command("append", 3, "wm", [1, 1, 1], append),
  command("strlen", 2, "r", [1, 1, 1], (call) => integer(call.string(call.arg(1))?.text.length ?? 0)),
  command("setrange", 4, "wm", [1, 1, 1], setRange),
  command("getrange", 4, "r", [1, 1, 1], getRange),
  command("substr", 4, "r", [1, 1, 1], getRange),
  command("setbit", 4, "wm", [1, 1, 1], setBit),
  command("getbit", 3, "r", [1, 1, 1], getBit),
  command("incr", 2, "wm", [1, 1, 1], (call) => add(call, 1)),
  command("decr", 2, "wm", [1, 1, 1], (call) => add(call, -1)),
  command("incrby", 3, "wm", [1, 1, 1], (call) => add(call, call.int(2))),
  command("decrby", 3, "wm", [1, 1, 1], subtract),
  command("incrbyfloat", 3, "wm", [1, 1, 1], addFloat),
];
