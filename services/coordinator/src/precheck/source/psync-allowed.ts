import { ReplyError } from "@sluice/redis";
import { allowanceOf, type Allowance, type AskedCommand } from "../allowed-commands.ts";
import { fail, pass, warn, type Look } from "../precheck.ts";
import type { ServerProbe } from "../probe/server-probe.ts";
import { eachSourceServer } from "../server-check.ts";
import type { PrecheckSubject } from "../subject.ts";

export function judgePsync(name: string, { isTold, refused }: Allowance): Look {
  if (!isTold) return warn(`${name} does not tell whether this user may run PSYNC and REPLCONF`);
  if (refused.size === 0) return pass("PSYNC and REPLCONF are allowed");
  return fail([...new Set([`${name}:`, ...refused.values()])].join(" "));
}

/** Every server that can be replicated from has these commands, under whatever name. */
export function judgeMissing(name: string, missing: readonly string[]): Look {
  return fail(`${name} does not know ${missing.join(" and ")}: renamed there, or taken away`, {
    code: "SRC-021",
    fix: "Where `rename-command` in its redis.conf gives another name, say it under `source.commands` (`psync`, `replconf`). A managed service that hides them has to allow replication first (most have a switch for migration).",
  });
}

export const sourcePsyncAllowed = eachSourceServer(
  {
    id: "source-psync-allowed",
    title: "Sluice may replicate from every server of the source",
    why: "Without PSYNC there is neither a copy nor a stream of changes.",
    expected: "a user with +psync +replconf, and a server that does not hide these commands",
    fix: "`ACL SETUSER <user> +psync +replconf` on every node. A managed service that forbids PSYNC has to allow it first (most have a switch for migration).",
    warns: "the server does not tell: the user may not run ACL DRYRUN (Redis 7 and newer)",
    fails: "PSYNC or REPLCONF is forbidden, renamed or disabled",
    code: "SRC-002",
    ifUnknown: "fail",
  },
  async (server, { subject }) => {
    const asked = neededOf(subject);
    const missing = await missingAt(server, asked);
    if (missing.length > 0) return judgeMissing(server.name, missing);
    return judgePsync(server.name, await allowanceOf(server, asked, { mayQueue: false }));
  },
);

/** By the names that the source has given to them. */
function neededOf({ commands }: Pick<PrecheckSubject, "commands">): AskedCommand[] {
  return [
    [commands?.psync ?? "PSYNC", "?", "-1"],
    [commands?.replconf ?? "REPLCONF", "listening-port", "0"],
  ];
}

/** Names of commands that the server does not know; none where it does not let us ask. */
async function missingAt(server: ServerProbe, asked: readonly AskedCommand[]): Promise<string[]> {
  const names = asked.map(([name]) => name);
  const rows = await server.ask("COMMAND", "INFO", ...names).catch((cause: unknown) => {
    if (cause instanceof ReplyError) return [];
    throw cause;
  });
  return names.filter((_, index) => Array.isArray(rows) && rows[index] === null);
}
