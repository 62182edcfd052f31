import type { Call } from "../call.ts";
import { longDoubleOf, longDoubleText, sumOfLongDoubles } from "../long-double.ts";
import { integerOf, sumOf } from "../number-text.ts";
import { command, type SimCommand } from "../sim-command.ts";
import {
  bulk,
  bulkOrNil,
  bulks,
  integer,
  list,
  NIL,
  NOT_FLOAT,
  OK,
  ONE,
  OVERFLOW,
  Refusal,
  ZERO,
  type Encoded,
} from "../sim-reply.ts";
import type { HashValue } from "../sim-value.ts";

function writable(call: Call): HashValue {
  const found = call.hash(call.arg(1));
  if (found !== undefined) return found;
  const made: HashValue = { type: "hash", fields: new Map() };
  call.db.put(call.arg(1), made, -1);
  return made;
}

function setFields(call: Call): Encoded {
  const { args, command } = call;
  if (args.length % 2 === 1) throw new Refusal(`ERR wrong number of arguments for '${command.name}' command`);
  const { fields } = writable(call);
  const before = fields.size;
  for (let at = 2; at < args.length; at += 2) fields.set(call.arg(at), call.arg(at + 1));
  call.changed(call.arg(1), (args.length - 2) / 2);
  return command.name === "hmset" ? OK : integer(fields.size - before);
}

function setIfNew(call: Call): Encoded {
  const found = call.hash(call.arg(1));
  if (found?.fields.has(call.arg(2)) === true) return ZERO;
  writable(call).fields.set(call.arg(2), call.arg(3));
  call.changed(call.arg(1));
  return ONE;
}

function remove(call: Call): Encoded {
  const key = call.arg(1);
  const found = call.hash(key);
  if (found === undefined) return ZERO;
  let removed = 0;
  for (const field of call.args.slice(2)) if (found.fields.delete(field)) removed++;
  if (removed > 0) call.changed(key, removed);
  call.dropIfEmpty(key, found.fields.size);
  return integer(removed);
}

function add(call: Call): Encoded {
  const delta = call.int(3);
  const value = integerOf(call.hash(call.arg(1))?.fields.get(call.arg(2)) ?? "0");
  if (value === null) throw new Refusal("ERR hash value is not an integer");
  const sum = sumOf(value, delta);
  if (sum === null) throw OVERFLOW;
  writable(call).fields.set(call.arg(2), String(sum));
  call.changed(call.arg(1));
  return integer(sum);
}

function addFloat(call: Call): Encoded {
  const [, key = "", field = ""] = call.args;
  const delta = longDoubleOf(call.arg(3));
  if (delta === null) throw NOT_FLOAT;
  const value = longDoubleOf(call.hash(key)?.fields.get(field) ?? "0");
  if (value === null) throw new Refusal("ERR hash value is not a float");
  if (value === "infinite" || delta === "infinite") throw new Refusal("ERR increment would produce NaN or Infinity");
  const text = longDoubleText(sumOfLongDoubles(value, delta));
  writable(call).fields.set(field, text);
  call.changed(key);
  call.replicateAs(["HSET", key, field, text]);
  return bulk(text);
}

function fieldsOf(call: Call): ReadonlyMap<string, string> {
  return call.hash(call.arg(1))?.fields ?? new Map<string, string>();
}

/** Commands on hashes. */
export const hashCommands: readonly SimCommand[] = [
  command("hset", -4, "wm", [1, 1, 1], setFields),
  command("hmset", -4, "wm", [1, 1, 1], setFields),
  command("hsetnx", 4, "wm", [1, 1, 1], setIfNew),
  command("hget", 3, "r", [1, 1, 1], (call) => bulkOrNil(fieldsOf(call).get(call.arg(2)))),
  command("hmget", -3, "r", [1, 1, 1], (call) => {
    const fields = fieldsOf(call);
    return list(call.args.slice(2).map((field) => bulkOrNil(fields.get(field))));
  }),
  command("hdel", -3, "w", [1, 1, 1], remove),
  command("hlen", 2, "r", [1, 1, 1], (call) => integer(fieldsOf(call).size)),
  command("hexists", 3, "r", [1, 1, 1], (call) => (fieldsOf(call).has(call.arg(2)) ? ONE : ZERO)),
  command("hstrlen", 3, "r", [1, 1, 1], (call) => integer((fieldsOf(call).get(call.arg(2)) ?? "").length)),
  command("hgetall", 2, "r", [1, 1, 1], (call) => bulks([...fieldsOf(call)].flat())),
  command("hkeys", 2, "r", [1, 1, 1], (call) => bulks(fieldsOf(call).keys())),
  command("hvals", 2, "r", [1, 1, 1], (call) => bulks(fieldsOf(call).values())),
  command("hincrby", 4, "wm", [1, 1, 1], add),
  command("hincrbyfloat", 4, "wm", [1, 1, 1], addFloat),
  command("hscan", -3, "r", [1, 1, 1], (call) => list([bulk("0"), bulks([...fieldsOf(call)].flat())])),
  command("hrandfield", 2, "r", [1, 1, 1], (call) => {
    const fields = [...fieldsOf(call).keys()];
    return fields.length === 0 ? NIL : bulk(fields[Math.floor(call.server.options.random() * fields.length)] as string);
  }),
];
