import type { Call } from "../call.ts";
import { integerOf } from "../number-text.ts";
import { command, type SimCommand } from "../sim-command.ts";
import {
  bulk,
  bulkOrNil,
  bulks,
  EMPTY,
  integer,
  NIL,
  NIL_ARRAY,
  NO_SUCH_KEY,
  OK,
  Refusal,
  SYNTAX,
  ZERO,
  type Encoded,
} from "../sim-reply.ts";
import type { ListValue } from "../sim-value.ts";
import { extentOf } from "./string-commands.ts";

type End = "left" | "right";

function push(end: End, onlyOld: boolean): (call: Call) => Encoded {
  return (call) => {
    const key = call.arg(1);
    let found = call.list(key);
    if (found === undefined) {
      if (onlyOld) return ZERO;
      found = { type: "list", items: [] };
      call.db.put(key, found, -1);
    }
    for (const item of call.args.slice(2)) pushTo(found, end, item);
    call.changed(key, call.args.length - 2);
    return integer(found.items.length);
  };
}

function pushTo({ items }: ListValue, end: End, item: string): void {
  if (end === "left") items.unshift(item);
  else items.push(item);
}

function takeFrom({ items }: ListValue, end: End): string | undefined {
  return end === "left" ? items.shift() : items.pop();
}

function pop(end: End): (call: Call) => Encoded {
  return (call) => {
    const key = call.arg(1);
    if (call.args.length > 3) throw new Refusal(`ERR wrong number of arguments for '${call.command.name}' command`);
    if (call.args.length === 2) {
      const found = call.list(key);
      if (found === undefined) return NIL;
      const item = takeFrom(found, end);
      call.dropIfEmpty(key, found.items.length);
      call.changed(key);
      return bulkOrNil(item);
    }
    const count = Number(integerOf(call.arg(2)) ?? -1);
    if (count < 0) throw new Refusal("ERR value is out of range, must be positive");
    const found = call.list(key);
    if (found === undefined) return NIL_ARRAY;
    if (count === 0) return EMPTY;
    const taken: string[] = [];
    while (taken.length < count && found.items.length > 0) taken.push(takeFrom(found, end) as string);
    call.dropIfEmpty(key, found.items.length);
    call.changed(key, taken.length);
    return bulks(taken);
  };
}

function range(call: Call): Encoded {
  const [start, stop] = [Number(call.int(2)), Number(call.int(3))];
  const items = call.list(call.arg(1))?.items ?? [];
  return bulks(items.slice(...extentOf(start, stop, items.length)));
}

function at(call: Call): Encoded {
  const found = call.list(call.arg(1));
  if (found === undefined) return NIL;
  return bulkOrNil(found.items.at(Number(call.int(2))));
}

function setAt(call: Call): Encoded {
  const found = call.list(call.arg(1));
  if (found === undefined) throw NO_SUCH_KEY;
  const given = Number(call.int(2));
  const index = given < 0 ? found.items.length + given : given;
  if (index < 0 || index >= found.items.length) throw new Refusal("ERR index out of range");
  found.items[index] = call.arg(3);
  call.changed(call.arg(1));
  return OK;
}

function removeItems(call: Call): Encoded {
  const key = call.arg(1);
  const count = Number(call.int(2));
  const found = call.list(key);
  if (found === undefined) return ZERO;
  const most = count === 0 ? Infinity : Math.abs(count);
  const items = count < 0 ? found.items.toReversed() : found.items;
  let removed = 0;
  const kept = items.filter((item) => item !== call.arg(3) || removed >= most || ++removed === 0);
  found.items = count < 0 ? kept.toReversed() : kept;
  if (removed > 0) call.changed(key, removed);
  call.dropIfEmpty(key, found.items.length);
  return integer(removed);
}

function trim(call: Call): Encoded {
  const key = call.arg(1);
  const [start, stop] = [Number(call.int(2)), Number(call.int(3))];
  const found = call.list(key);
  if (found === undefined) return OK;
  const before = found.items.length;
  found.items = found.items.slice(...extentOf(start, stop, before));
  call.dropIfEmpty(key, found.items.length);
  call.changed(key, before - found.items.length);
  return OK;
}

function insert(call: Call): Encoded {
  const [, key = "", , pivot = "", item = ""] = call.args;
  const side = call.word(2);
  if (side !== "BEFORE" && side !== "AFTER") throw SYNTAX;
  const found = call.list(key);
  if (found === undefined) return ZERO;
  const index = found.items.indexOf(pivot);
  if (index < 0) return integer(-1);
  found.items.splice(side === "AFTER" ? index + 1 : index, 0, item);
  call.changed(key);
  return integer(found.items.length);
}

function moveBetween(call: Call, from: End, to: End): Encoded {
  const [, source = "", target = ""] = call.args;
  const found = call.list(source);
  if (found === undefined) return NIL;
  let other = call.list(target);
  const item = takeFrom(found, from) as string;
  if (other === undefined) {
    other = { type: "list", items: [] };
    call.db.put(target, other, -1);
  }
  pushTo(other, to, item);
  call.dropIfEmpty(source, found.items.length);
  call.touch(target);
  call.changed(source);
  return bulk(item);
}

function move(call: Call): Encoded {
  const [from, to] = [endOf(call.word(3)), endOf(call.word(4))];
  return moveBetween(call, from, to);
}

function endOf(word: string): End {
  if (word !== "LEFT" && word !== "RIGHT") throw SYNTAX;
  return word === "LEFT" ? "left" : "right";
}

/** Commands on lists. */
export const listCommands: readonly SimCommand[] = [
  command("lpush", -3, "wm", [1, 1, 1], push("left", false)),
  command("rpush", -3, "wm", [1, 1, 1], push("right", false)),
  command("lpushx", -3, "wm", [1, 1, 1], push("left", true)),
  command("rpushx", -3, "wm", [1, 1, 1], push("right", true)),
  command("lpop", -2, "w", [1, 1, 1], pop("left")),
  command("rpop", -2, "w", [1, 1, 1], pop("right")),
  command("llen", 2, "r", [1, 1, 1], (call) => integer(call.list(call.arg(1))?.items.length ?? 0)),
  command("lrange", 4, "r", [1, 1, 1], range),
  command("lindex", 3, "r", [1, 1, 1], at),
  command("lset", 4, "wm", [1, 1, 1], setAt),
  command("lrem", 4, "w", [1, 1, 1], removeItems),
  command("ltrim", 4, "w", [1, 1, 1], trim),
  command("linsert", 5, "wm", [1, 1, 1], insert),
  command("lmove", 5, "wm", [1, 2, 1], move),
  command("rpoplpush", 3, "wm", [1, 2, 1], (call) => moveBetween(call, "right", "left")),
];
