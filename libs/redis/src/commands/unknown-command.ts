import type { FramedCommand } from "../resp/command-framer.ts";
import { ReplyError } from "../resp/reply.ts";
import type { Reply } from "../resp/reply.ts";
import { isWord, textOf } from "./argument.ts";
import { commandDefinition, subcommandRows } from "./command-definition.ts";
import type { CommandDefinition } from "./command-definition.ts";
import { specifiedKeys } from "./key-specification.ts";
import { MALFORMED, rangeKeys } from "./movable-keys.ts";
import type { KeyRule } from "./movable-keys.ts";

/** The largest command whose keys a server is asked for, in bytes: the whole of it travels. */
const MAX_ASKED_BYTES = 1024 * 1024;
/** Longest name that a message shows. */
const SHOWN_NAME = 64;
/** From here on COMMAND GETKEYSANDFLAGS; before, since 2.8.13, COMMAND GETKEYS. */
const FLAGS_SINCE = 70_000;

/** A write command of a source that can't be forwarded, since nobody can say which keys it changes. */
export class UnknownCommandError extends Error {
  override readonly name = "UnknownCommandError";
  /** In capitals. */
  readonly command: string;

  constructor(command: string, why: string) {
    super(`${command}: ${why}`);
    this.command = command;
  }
}

/** Asks a server what it knows of these commands; the reply has one element for each, in order. Redis 2.8.13 and newer. */
export function commandInfoRequest(names: readonly string[]): string[] {
  return ["COMMAND", "INFO", ...names];
}

/**
 * The definition of a command that is in no table of ours, from the element for it in its own server's reply to COMMAND INFO (the shapes of 2.8 to 8).
 * `commandTable.with([it])` is a table that knows the command. Where that table says `mustAskKeys`, each call takes a `keysRequest`.
 * @throws {UnknownCommandError} the server does not know it, or does not call it a write, or it names no keys.
 */
export function unknownCommand(name: string, element: Reply | undefined): CommandDefinition {
  const shown = shownName(name);
  if (element === null || element === undefined)
    throw new UnknownCommandError(shown, "its own server does not know it: it is renamed there, or its module is gone");
  if (element instanceof ReplyError)
    throw new UnknownCommandError(shown, `its server answered COMMAND INFO with ${element.message}`);
  const definition = described(shown, element);
  if (definition.name !== name.toUpperCase())
    throw new UnknownCommandError(shown, `its server described ${shownName(definition.name)} in its place`);
  if (!definition.write)
    throw new UnknownCommandError(shown, "its server does not call it a write, but sent it to its replicas");
  if (definition.firstKey === 0 && !definition.movableKeys && definition.keyRule === undefined)
    throw new UnknownCommandError(shown, "it writes and names no keys, so what it changes is not known");
  return definition;
}

function described(shown: string, element: Reply): CommandDefinition {
  try {
    return describe(element);
  } catch (error) {
    if (error instanceof TypeError)
      throw new UnknownCommandError(shown, `its server's COMMAND INFO can't be read: ${error.message}`);
    throw error;
  }
}

/** The key rule is there only where the three numbers do not tell the keys and something else does. */
function describe(row: Reply): CommandDefinition {
  const definition = commandDefinition(row);
  for (const number of [definition.firstKey, definition.lastKey, definition.keyStep]) {
    if (!Number.isInteger(number) || Math.abs(number) > 100)
      throw new TypeError("COMMAND: expected positions of keys below 100");
  }
  if (definition.firstKey > 0 && definition.keyStep < 1) throw new TypeError("COMMAND: expected a step of 1 or more");
  const elements = Array.isArray(row) ? row : [];
  const children = subcommandRows(elements).map((child) => describe(child));
  if (children.some((child) => child.firstKey > 0 || child.movableKeys)) {
    // One that only the server can tell the keys of: so it is for all.
    const isAsked = children.some((child) => child.movableKeys && child.keyRule === undefined);
    return isAsked ? { ...definition, movableKeys: true } : { ...definition, keyRule: containerKeys(children) };
  }
  const rule = definition.movableKeys ? specifiedKeys(elements[8]) : null;
  return rule === null ? definition : { ...definition, keyRule: rule };
}

/** The rule of a container: that of the subcommand whose name stands at argument 1. */
function containerKeys(children: readonly CommandDefinition[]): KeyRule {
  const named = children.map((child) => ({ ...child, word: child.name.slice(child.name.indexOf("|") + 1) }));
  return (command, out) => {
    const child = named.find(({ word }) => isWord(command, 1, word));
    if (child === undefined) return MALFORMED;
    if (child.keyRule !== undefined) return child.keyRule(command, out);
    return child.firstKey === 0 ? 0 : rangeKeys(child.firstKey, child.lastKey, child.keyStep, command, out);
  };
}

/**
 * Asks a server for the keys of this one call: its reply goes to `keysInReply`. `version` is that of the server: 70015 for 7.0.15. Arguments are views.
 * @throws {UnknownCommandError} the command is larger than 1 MiB.
 */
export function keysRequest(command: FramedCommand, version: number): (string | Buffer)[] {
  const args: Buffer[] = [];
  let size = 0;
  for (let index = 0; index < command.argc; index++) {
    const start = command.argStarts[index]!;
    const length = command.argLengths[index]!;
    size += length;
    if (size > MAX_ASKED_BYTES)
      throw new UnknownCommandError(
        nameOf(command),
        `a call of more than ${MAX_ASKED_BYTES} bytes, too large to ask the source for its keys`,
      );
    args.push(command.buffer.subarray(start, start + length));
  }
  return ["COMMAND", version >= FLAGS_SINCE ? "GETKEYSANDFLAGS" : "GETKEYS", ...args];
}

/**
 * The keys of the call that `keysRequest` asked for, at least one, in the server's order.
 * @throws {UnknownCommandError} the server could not tell them.
 */
export function keysInReply(command: FramedCommand, reply: Reply): Buffer[] {
  if (reply instanceof ReplyError)
    throw new UnknownCommandError(nameOf(command), `its server can't tell its keys: ${reply.message}`);
  const elements = Array.isArray(reply) ? reply : [];
  // GETKEYSANDFLAGS has pairs of a key and its flags.
  const keys = elements.map((element) => (Array.isArray(element) ? element[0] : element));
  const known = keys.filter((key): key is Buffer => Buffer.isBuffer(key));
  if (known.length === 0 || known.length < keys.length || known.length >= command.argc)
    throw new UnknownCommandError(nameOf(command), "its server's answer about its keys can't be read");
  return known;
}

/**
 * As `keysInReply`, by argument index: of each key the first argument that has its bytes.
 * @throws {UnknownCommandError} the server could not tell them, or one of them is no argument of the call.
 */
export function keyArgsInReply(command: FramedCommand, reply: Reply): number[] {
  const keys = keysInReply(command, reply);
  const argOf = new Map<string, number>();
  for (let index = command.argc - 1; index > 0; index--) argOf.set(textOf(command, index), index);
  const args = new Set<number>();
  for (const key of keys) {
    const arg = argOf.get(key.toString("latin1"));
    if (arg === undefined)
      throw new UnknownCommandError(nameOf(command), "its server names a key that is no argument of the call");
    args.add(arg);
  }
  return [...args];
}

function nameOf(command: FramedCommand): string {
  return shownName(textOf(command, 0));
}

/** Printable, in capitals, of bounded length. */
function shownName(name: string): string {
  return name
    .slice(0, SHOWN_NAME)
    .toUpperCase()
    .replaceAll(/[^\x21-\x7e]/g, "?");
}
