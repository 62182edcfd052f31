import {
  argsOfKey,
  CommandId,
  commandTable,
  encodeCommand,
  keySharing,
  sortsByPattern,
  type CommandArgument,
  type FramedCommand,
} from "@sluice/redis";
import { NOWHERE, type DatabaseMap } from "@sluice/wire";
import type { KeyScope } from "./key-scope.ts";

/** A command that takes another's place, in a database of the destination. */
export interface ScopedCommand {
  readonly db: number;
  readonly args: readonly CommandArgument[];
  /** The first key; null where its slot is that of the command whose place it takes. */
  readonly key: Buffer | null;
}

/** What of a command a destination gets. */
export type Scoped =
  | { readonly kind: "whole" }
  | { readonly kind: "nothing" }
  | { readonly kind: "other"; readonly commands: readonly ScopedCommand[] }
  /** Nobody can say what the destination should get. */
  | { readonly kind: "unclear"; readonly why: string };

const WHOLE: Scoped = { kind: "whole" };
const NOTHING: Scoped = { kind: "nothing" };
const MOVE = commandTable.idOf("MOVE");
const COPY = commandTable.idOf("COPY");
const SFLUSH = commandTable.idOf("SFLUSH");

/** Replicated only where they found nothing in their way at the source: another database's key of that name stands in it in a merged one. */
const IF_ABSENT: ReadonlySet<number> = new Set(
  ["SETNX", "HSETNX", "MSETNX", "RENAMENX"].map((name) => commandTable.idOf(name)),
);

const OF_NO_DATABASE: ReadonlySet<number> = new Set([
  CommandId.FUNCTION,
  CommandId.SCRIPT,
  CommandId.PUBLISH,
  CommandId.SPUBLISH,
]);

/**
 * What of one command is in the scope of a writer group. The rule for all of them: behind what the destination gets it holds what
 * the source holds, of the keys and databases in scope.
 *
 * Commands on several keys go by their `KeySharing`:
 *
 *     no key in scope                nothing           some: DEL UNLINK MSET …     these
 *     all                            whole             some: writes only others    nothing
 *     gone from the scope            DEL               some: anything else         unclear
 *     (MOVE, RENAME)                                   come into the scope         unclear: its value is not known here
 *
 * Databases first: what runs in one that is not copied is nothing, unless it reaches into another. FLUSHALL becomes a FLUSHDB for
 * each that is copied, where not all are. What belongs to no database (functions, scripts, messages) is for every group.
 *
 * Databases that are one in the destination: what is written last counts. What was written because nothing was in its way at the
 * source (MOVE, COPY without REPLACE, SETNX …) would find a key of another database there, and do nothing: unclear.
 *
 * Keys that the destination keeps are out of the scope of their own database there. What empties a database would take them with it:
 * unclear.
 */
export class CommandScope {
  readonly #databases: DatabaseMap;
  readonly #keys: KeyScope;
  #args = new Int32Array(256);

  constructor(databases: DatabaseMap, keys: KeyScope) {
    this.#databases = databases;
    this.#keys = keys;
  }

  /** `db`: that of the source in which it ran. */
  of(command: FramedCommand, db: number): Scoped {
    const id = commandTable.idOfCommand(command);
    if (id === CommandId.FLUSHALL) return this.#flushAll(command);
    if (id === CommandId.SWAPDB) return this.#swap(command);
    if (id === MOVE) return this.#move(command, db);
    if (id === COPY) return this.#copy(command, db);
    if (OF_NO_DATABASE.has(id)) return WHOLE;
    const target = this.#databases.targetOf(db);
    if (target === NOWHERE) return NOTHING;
    if ((id === CommandId.FLUSHDB || id === SFLUSH) && this.#keys.keepsIn(target)) return unclear(KEPT);
    if (id === CommandId.FLUSHDB) return this.#databases.isMerged(target) ? unclear(MERGED) : WHOLE;
    const scoped = this.#keys.isWhole ? WHOLE : this.#byKeys(this.#keys, id, command, target);
    const isOnMerged = scoped.kind !== "nothing" && this.#databases.isMerged(target);
    return isOnMerged && isIfAbsent(id, command) ? unclear(MERGED) : scoped;
  }

  #byKeys(scope: KeyScope, id: number, command: FramedCommand, target: number): Scoped {
    if (id >= 0 && commandTable.hasOneKey(id)) {
      const at = commandTable.firstKeyArg(id, command);
      if (at > 0) return has(scope, target, command, at) ? WHOLE : NOTHING;
    }
    if (this.#args.length < command.argc) this.#args = new Int32Array(command.argc * 2);
    const count = id < 0 ? -1 : commandTable.keyArgs(id, command, this.#args);
    if (count < 0) return unclear("its keys are not known");
    const sharing = keySharing(id);
    if (count === 0) return sharing === "script" ? unclear("a script that names no keys may change any") : WHOLE;
    const args = this.#args.subarray(0, count);
    const inside = args.filter((at) => has(scope, target, command, at));
    if (inside.length === 0) return NOTHING;
    if (sharing === "sorts") return sorted(scope, target, command, args);
    if (inside.length === count) return WHOLE;
    if (sharing === "apart") return partOf(command, inside, argsOfKey(id), target);
    const isFirst = inside[0] === args[0];
    if (sharing === "writes-first" && !isFirst) return NOTHING;
    if (sharing === "writes-rest" && isFirst && inside.length === 1) return NOTHING;
    if (sharing === "renames" && isFirst) return deleted(argument(command, 1), target);
    return unclear(`${inside.length} of its ${count} keys are in the scope`);
  }

  #flushAll(command: FramedCommand): Scoped {
    const { targets } = this.#databases;
    if ((targets ?? [null]).some((db) => this.#keys.keepsIn(db))) return unclear(KEPT);
    if (targets === null) return WHOLE;
    const options = command.argc > 1 ? [argument(command, 1)] : [];
    return { kind: "other", commands: targets.map((db) => ({ db, args: ["FLUSHDB", ...options], key: null })) };
  }

  #swap(command: FramedCommand): Scoped {
    const [one, two] = [this.#databases.targetOf(numberAt(command, 1)), this.#databases.targetOf(numberAt(command, 2))];
    if (one === NOWHERE && two === NOWHERE) return NOTHING;
    if (one === NOWHERE || two === NOWHERE)
      return unclear("it brings a database that is not copied in the place of one that is");
    if (one === two) return NOTHING;
    if (this.#keys.keepsIn(one) || this.#keys.keepsIn(two)) return unclear("it brings kept keys into another database");
    if (this.#databases.isMerged(one) || this.#databases.isMerged(two)) return unclear(MERGED);
    return { kind: "other", commands: [{ db: 0, args: ["SWAPDB", one, two], key: null }] };
  }

  #move(command: FramedCommand, db: number): Scoped {
    const key = argument(command, 1);
    const [from, to] = [this.#databases.targetOf(db), this.#databases.targetOf(numberAt(command, 2))];
    const isFrom = from !== NOWHERE && has(this.#keys, from, command, 1);
    if (to === NOWHERE || !has(this.#keys, to, command, 1)) return isFrom ? deleted(key, from) : NOTHING;
    if (from === NOWHERE) return unclear("it moves a key out of a database that is not copied");
    if (!isFrom) return unclear("it moves a key whose value is another in the destination, where that name is kept");
    if (this.#databases.isMerged(from) || this.#databases.isMerged(to)) return unclear(MERGED);
    return { kind: "other", commands: [{ db: from, args: [argument(command, 0), key, to], key: null }] };
  }

  #copy(command: FramedCommand, db: number): Scoped {
    const args = Array.from({ length: command.argc }, (_, index): CommandArgument => argument(command, index));
    const at = args.findIndex((arg, index) => index > 2 && index + 1 < args.length && String(arg).toUpperCase() === "DB");
    const [from, to] = [this.#databases.targetOf(db), this.#databases.targetOf(at < 0 ? db : numberAt(command, at + 1))];
    if (to === NOWHERE || !has(this.#keys, to, command, 2)) return NOTHING;
    if (from === NOWHERE) return unclear("it copies a key out of a database that is not copied");
    if (!has(this.#keys, from, command, 1)) return unclear("it copies a key that is not in the scope");
    const isReplacing = args.some((arg, index) => index > 2 && String(arg).toUpperCase() === "REPLACE");
    if (!isReplacing && this.#databases.isMerged(to)) return unclear(MERGED);
    if (from === to && argument(command, 1).equals(argument(command, 2))) return NOTHING;
    if (at >= 0) args[at + 1] = to;
    return { kind: "other", commands: [{ db: from, args, key: null }] };
  }
}

const KEPT = "keys of the destination that are kept would be deleted with it";
const MERGED = "it speaks of a database that is one with others in the destination";

function unclear(why: string): Scoped {
  return { kind: "unclear", why };
}

function deleted(key: Buffer, db: number): Scoped {
  return { kind: "other", commands: [{ db, args: ["DEL", key], key }] };
}

/** A command on some of its keys, whose arguments are `inside`. */
function partOf(command: FramedCommand, inside: Int32Array, step: number, db: number): Scoped {
  const args = [argument(command, 0)];
  for (const at of inside) for (let part = 0; part < step; part++) args.push(argument(command, at + part));
  return { kind: "other", commands: [{ db, args, key: argument(command, inside[0] as number) }] };
}

/** SORT … STORE, some of whose keys are in the scope: BY and GET read keys that only their patterns name. */
function sorted(scope: KeyScope, db: number, command: FramedCommand, args: Int32Array): Scoped {
  const stored = args[1];
  if (stored === undefined || !has(scope, db, command, stored)) return NOTHING;
  if (sortsByPattern(command)) return unclear("it reads keys that BY and GET do not name");
  return has(scope, db, command, args[0] as number) ? WHOLE : unclear("it sorts a key that is not in the scope");
}

function isIfAbsent(id: number, command: FramedCommand): boolean {
  if (id !== CommandId.SET) return IF_ABSENT.has(id);
  for (let index = 3; index < command.argc; index++)
    if ((command.argLengths[index] as number) === 2 && argument(command, index).toString("latin1").toUpperCase() === "NX")
      return true;
  return false;
}

/** `db`: of the destination. */
function has(scope: KeyScope, db: number, { buffer, argStarts, argLengths }: FramedCommand, at: number): boolean {
  const start = argStarts[at] as number;
  return scope.has(db, buffer, start, start + (argLengths[at] as number));
}

/** A view. */
function argument({ buffer, argStarts, argLengths }: FramedCommand, at: number): Buffer {
  const start = argStarts[at] as number;
  return buffer.subarray(start, start + (argLengths[at] as number));
}

function numberAt(command: FramedCommand, at: number): number {
  const text = argument(command, at).toString("latin1");
  return /^\d{1,9}$/.test(text) ? Number(text) : NOWHERE;
}

/** Its bytes in RESP. */
export function encodeScoped({ args }: ScopedCommand): Buffer {
  return encodeCommand(args);
}
