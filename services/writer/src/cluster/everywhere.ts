import { ReplyError, type CommandArgument } from "@sluice/redis";
import { destinationFault } from "../apply/standalone-destination.ts";
import type { NodePool } from "./node-pool.ts";
import type { ClusterNode } from "./slot-map.ts";

/**
 * The command, which belongs to no slot and is every node's (function libraries, and scripts that were loaded by themselves), in a form that may be repeated, behind later ones of its kind, too: no mark can say which node has run it, so that after a crash all
 * that follow the watermark run again, in order, and leave what the last of them leaves.
 *
 *     FUNCTION LOAD <code>                         FUNCTION LOAD REPLACE <code>
 *     FUNCTION RESTORE <payload> [APPEND]          FUNCTION RESTORE <payload> REPLACE      it found nothing in its way at the source
 *     FUNCTION DELETE, FLUSH; SCRIPT LOAD, FLUSH   the same; DELETE may find nothing left
 */
export function repeatable(args: readonly CommandArgument[]): readonly CommandArgument[] {
  const [name = "", form = "", first = "", second = ""] = args;
  if (word(name) !== "FUNCTION") return args;
  if (word(form) === "LOAD" && word(first) !== "REPLACE") return [name, form, "REPLACE", ...args.slice(2)];
  if (word(form) === "RESTORE" && (word(second) === "" || word(second) === "APPEND")) return [name, form, first, "REPLACE"];
  return args;
}

/** Has every node run the commands, in order. Throws `Retryable` DST-001, DST-003, `Halt` DST-002. */
export async function runEverywhere(
  name: string,
  pool: NodePool,
  nodes: readonly ClusterNode[],
  commands: readonly (readonly CommandArgument[])[],
): Promise<void> {
  for (const node of nodes) {
    const connection = await pool.connection(node);
    for (const args of commands) {
      try {
        await connection.call(repeatable(args));
      } catch (cause) {
        const isGone = cause instanceof ReplyError && cause.message.includes("Library not found");
        if (!isGone || word(args[1] ?? "") !== "DELETE") throw destinationFault(`${name} (${node.name})`, cause);
      }
    }
  }
}

function word(argument: CommandArgument): string {
  return Buffer.isBuffer(argument) && argument.length > 16 ? "?" : String(argument).toUpperCase();
}
