import {
  askedCommands,
  type CommandArgument,
  commandDefinition,
  type DestinationServer,
  type Reply,
  ReplyError,
} from "@sluice/redis";
import { Abilities } from "./abilities.ts";

/**
 * Asks a server for the commands that not every server has. One that does not answer, or not in the form of COMMAND INFO, is judged by its
 * version. Throws what `call` does for anything but an error reply.
 */
export async function readAbilities(
  server: DestinationServer,
  call: (args: readonly CommandArgument[]) => Promise<Reply>,
): Promise<Abilities> {
  const known = knownNames(await call(["COMMAND", "INFO", ...askedCommands]).catch(notTold));
  return known === null ? new Abilities(server) : new Abilities(server, askedCommands, known);
}

function notTold(cause: unknown): null {
  if (cause instanceof ReplyError) return null;
  throw cause;
}

/** Names of the commands that were described; null where not one answer is of use. */
function knownNames(reply: Reply): Set<string> | null {
  if (!Array.isArray(reply) || reply.length !== askedCommands.size) return null;
  const known = new Set<string>();
  for (const row of reply) {
    if (row === null) continue;
    try {
      known.add(commandDefinition(row).name);
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      return null;
    }
  }
  // Whoever knows none of them does not speak of commands.
  return known.size === 0 ? null : known;
}
