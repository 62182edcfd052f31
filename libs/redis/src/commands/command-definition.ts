import { ReplyError } from "../resp/reply.ts";
import type { Reply } from "../resp/reply.ts";
import type { KeyRule } from "./movable-keys.ts";

/** A command as a server describes it in COMMAND. */
export interface CommandDefinition {
  /** In capitals. */
  readonly name: string;
  readonly write: boolean;
  readonly noScript: boolean;
  /** Argument index of the first key, 0 for none; the command's name is argument 0. */
  readonly firstKey: number;
  /** Argument index of the last key, from the end when negative (-1 is the last argument). */
  readonly lastKey: number;
  readonly keyStep: number;
  /** The three numbers above do not tell all the keys. */
  readonly movableKeys: boolean;
  /** Names in capitals, without the container's. */
  readonly subcommands: readonly string[];
  /** Tells the keys in place of the three numbers. */
  readonly keyRule?: KeyRule;
}

/** Most subcommands that a container may have. */
const MAX_SUBCOMMANDS = 1024;

/** A word of COMMAND's reply. */
export function commandText(reply: Reply | undefined): string {
  if (typeof reply === "string") return reply;
  if (Buffer.isBuffer(reply)) return reply.toString("latin1");
  throw new TypeError("COMMAND: expected a string");
}

/** The rows of a container's subcommands: element 10 of a row, from Redis 7.0 on. */
export function subcommandRows(row: readonly Reply[]): readonly Reply[] {
  const rows = row[9];
  if (!Array.isArray(rows)) return [];
  if (rows.length > MAX_SUBCOMMANDS) throw new TypeError(`COMMAND: expected at most ${MAX_SUBCOMMANDS} subcommands`);
  return rows;
}

/**
 * Reads one element of COMMAND's reply, of any version and of modules too (https://redis.io/docs/latest/commands/command/).
 * A container counts as writing when one of its subcommands does, and as barred from scripts when one of those that write is.
 * @throws {TypeError} it has another shape.
 */
export function commandDefinition(row: Reply): CommandDefinition {
  if (!Array.isArray(row) || row instanceof ReplyError || row.length < 6)
    throw new TypeError("COMMAND: expected an array of 6 elements or more");
  const [name, , flags, first, last, step] = row;
  if (!Array.isArray(flags)) throw new TypeError("COMMAND: expected an array of flags");
  const names = new Set(flags.map((flag) => commandText(flag)));
  const subcommands = subcommandRows(row).map((child) => commandDefinition(child));
  return {
    name: commandText(name).toUpperCase(),
    write: names.has("write") || subcommands.some((subcommand) => subcommand.write),
    noScript: names.has("noscript") || subcommands.some((subcommand) => subcommand.write && subcommand.noScript),
    firstKey: Number(first),
    lastKey: Number(last),
    keyStep: Number(step),
    movableKeys: names.has("movablekeys"),
    subcommands: subcommands.map((subcommand) => subcommand.name.slice(subcommand.name.indexOf("|") + 1)),
  };
}
