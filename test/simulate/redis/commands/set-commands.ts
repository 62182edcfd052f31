import type { Call } from "../call.ts";
import { integerOf } from "../number-text.ts";
import { command, counted, type SimCommand } from "../sim-command.ts";
import { bulk, bulks, EMPTY, integer, list, NIL, ONE, Refusal, ZERO, type Encoded } from "../sim-reply.ts";
import type { SetValue } from "../sim-value.ts";

/** Most members in one SREM that stands for SPOP with a count (t_set.c, `spopWithCountCommand`). */
const POP_BATCH = 1024;

function add(call: Call): Encoded {
  const key = call.arg(1);
  let found = call.set(key);
  if (found === undefined) {
    found = { type: "set", members: new Set() };
    call.db.put(key, found, -1);
  }
  const before = found.members.size;
  for (const member of call.args.slice(2)) found.members.add(member);
  const added = found.members.size - before;
  if (added > 0) call.changed(key, added);
  return integer(added);
}

function remove(call: Call): Encoded {
  const key = call.arg(1);
  const found = call.set(key);
  if (found === undefined) return ZERO;
  let removed = 0;
  for (const member of call.args.slice(2)) if (found.members.delete(member)) removed++;
  if (removed > 0) call.changed(key, removed);
  call.dropIfEmpty(key, found.members.size);
  return integer(removed);
}

function move(call: Call): Encoded {
  const [, source = "", target = "", member = ""] = call.args;
  const from = call.set(source);
  if (from === undefined) return ZERO;
  let to = call.set(target);
  if (from === to) return from.members.has(member) ? ONE : ZERO;
  if (!from.members.delete(member)) return ZERO;
  call.dropIfEmpty(source, from.members.size);
  if (to === undefined) {
    to = { type: "set", members: new Set() };
    call.db.put(target, to, -1);
  }
  to.members.add(member);
  call.changed(source);
  call.changed(target);
  return ONE;
}

function drawn(call: Call, members: readonly string[]): string {
  return members[Math.floor(call.server.options.random() * members.length)] as string;
}

function pop(call: Call): Encoded {
  const key = call.arg(1);
  if (call.args.length > 3) throw new Refusal("ERR syntax error");
  if (call.args.length === 3) return popMany(call);
  const found = call.set(key);
  if (found === undefined) return NIL;
  const member = drawn(call, [...found.members]);
  found.members.delete(member);
  call.dropIfEmpty(key, found.members.size);
  call.changed(key);
  call.replicateAs(["SREM", key, member]);
  return bulk(member);
}

function popMany(call: Call): Encoded {
  const key = call.arg(1);
  const count = Number(integerOf(call.arg(2)) ?? -1);
  if (count < 0) throw new Refusal("ERR value is out of range, must be positive");
  const found = call.set(key);
  if (found === undefined || count === 0) return EMPTY;
  if (count >= found.members.size) {
    const all = bulks(found.members);
    call.remove(key);
    call.replicateAs(["DEL", key]);
    return all;
  }
  const taken: string[] = [];
  while (taken.length < count) {
    const member = drawn(call, [...found.members]);
    found.members.delete(member);
    taken.push(member);
  }
  call.changed(key, count);
  const batches: string[][] = [];
  for (let from = 0; from < count; from += POP_BATCH) batches.push(["SREM", key, ...taken.slice(from, from + POP_BATCH)]);
  call.replicateAs(...batches);
  return bulks(taken);
}

function random(call: Call): Encoded {
  const found = call.set(call.arg(1));
  if (call.args.length > 2) {
    const count = Number(call.int(2));
    const members = [...(found?.members ?? [])];
    if (members.length === 0) return EMPTY;
    if (count >= 0) return bulks(members.slice(0, count));
    return bulks(Array.from({ length: -count }, () => drawn(call, members)));
  }
  return found === undefined ? NIL : bulk(drawn(call, [...found.members]));
}

type Combine = (one: ReadonlySet<string>, other: ReadonlySet<string>) => Set<string>;

const union: Combine = (one, other) => new Set([...one, ...other]);
const intersection: Combine = (one, other) => new Set([...one].filter((member) => other.has(member)));
const difference: Combine = (one, other) => new Set([...one].filter((member) => !other.has(member)));

function combined(call: Call, from: number, combine: Combine): Set<string> {
  const sets = call.args.slice(from).map((key): SetValue | undefined => call.set(key));
  return sets
    .map((found): ReadonlySet<string> => found?.members ?? new Set<string>())
    .reduce((one, other) => combine(one, other)) as Set<string>;
}

function store(combine: Combine): (call: Call) => Encoded {
  return (call) => {
    const target = call.arg(1);
    const members = new Set(combined(call, 2, combine));
    call.find(target);
    if (members.size === 0) call.remove(target);
    else call.put(target, { type: "set", members });
    return integer(members.size);
  };
}

function isMember(call: Call): Encoded {
  return call.set(call.arg(1))?.members.has(call.arg(2)) === true ? ONE : ZERO;
}

/** Commands on sets. */
export const setCommands: readonly SimCommand[] = [
  command("sadd", -3, "wm", [1, 1, 1], add),
  command("srem", -3, "w", [1, 1, 1], remove),
  command("smove", 4, "w", [1, 2, 1], move),
  command("spop", -2, "w", [1, 1, 1], pop),
  command("srandmember", -2, "r", [1, 1, 1], random),
  command("scard", 2, "r", [1, 1, 1], (call) => integer(call.set(call.arg(1))?.members.size ?? 0)),
  command("sismember", 3, "r", [1, 1, 1], isMember),
  command("smismember", -3, "r", [1, 1, 1], (call) => {
    const found = call.set(call.arg(1));
    return list(call.args.slice(2).map((member) => (found?.members.has(member) === true ? ONE : ZERO)));
  }),
  command("smembers", 2, "r", [1, 1, 1], (call) => bulks(call.set(call.arg(1))?.members ?? [])),
  command("sunion", -2, "r", [1, -1, 1], (call) => bulks(combined(call, 1, union))),
  command("sinter", -2, "r", [1, -1, 1], (call) => bulks(combined(call, 1, intersection))),
  command("sdiff", -2, "r", [1, -1, 1], (call) => bulks(combined(call, 1, difference))),
  command("sunionstore", -3, "wm", [1, -1, 1], store(union)),
  command("sinterstore", -3, "wm", [1, -1, 1], store(intersection)),
  command("sdiffstore", -3, "wm", [1, -1, 1], store(difference)),
  command("sintercard", -3, "r", counted(1), (call) => {
    const count = Number(call.int(1));
    const sets = call.args.slice(2, 2 + count).map((key): ReadonlySet<string> => call.set(key)?.members ?? new Set());
    return integer(sets.length === 0 ? 0 : sets.reduce((one, other) => intersection(one, other)).size);
  }),
];
