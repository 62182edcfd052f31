import { ReplyError, type Reply } from "@sluice/redis";
import { replyText, type ServerProbe } from "./server-probe.ts";

/** A command as a server describes it. */
export interface CommandRow {
  /** In capitals. */
  readonly name: string;
  /** Arguments with the name; at least so many where negative. */
  readonly arity: number;
  readonly isWrite: boolean;
}

/** What a server knows of these commands, by name in capitals; those that it does not know are missing. Throws as `ServerProbe.ask`. */
export async function commandRows(server: ServerProbe, names: readonly string[]): Promise<Map<string, CommandRow>> {
  const rows = new Map<string, CommandRow>();
  if (names.length === 0) return rows;
  const reply = await server.ask("COMMAND", "INFO", ...names);
  for (const row of Array.isArray(reply) ? reply : []) {
    const read = commandRow(row);
    if (read !== null) rows.set(read.name, read);
  }
  return rows;
}

/** One row of COMMAND INFO (https://redis.io/docs/latest/commands/command/); null for a command that the server does not know. */
export function commandRow(row: Reply): CommandRow | null {
  if (!Array.isArray(row) || row instanceof ReplyError) return null;
  const [name, arity, flags, , , , , , , subcommands] = row;
  if (name === undefined || !Array.isArray(flags)) return null;
  const children = Array.isArray(subcommands) ? subcommands.map((child) => commandRow(child)) : [];
  const isWrite = flags.some((flag) => replyText(flag) === "write") || children.some((child) => child?.isWrite === true);
  return { name: replyText(name).toUpperCase(), arity: Number(arity), isWrite };
}
